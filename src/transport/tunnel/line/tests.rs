use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use super::*;

/// A carrier that says when it is gone, and counts those that are lost.
struct Fake {
    number: u32,
    is_new: bool,
    gone: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
}

impl Idle for Fake {
    fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn lost(self) {
        self.lost.fetch_add(1, Relaxed);
    }
}

#[derive(Default)]
struct Maker {
    made: u32,
    lost: Arc<AtomicUsize>,
}

impl Maker {
    fn carrier(&mut self) -> Fake {
        self.made += 1;
        Fake { number: self.made, is_new: true, gone: Arc::default(), lost: self.lost.clone() }
    }

    fn lost(&self) -> usize {
        self.lost.load(Relaxed)
    }
}

fn up() -> Line<Fake> {
    let line = Line::default();
    line.set_up();
    line
}

/// So long that a test that waits for it hangs.
fn late() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

type Taking<'t> = Pin<&'t mut dyn Future<Output = Result<Fake, Cause>>>;

/// Polls once; the number of the carrier, if there is one.
async fn look(taking: &mut Taking<'_>) -> Option<Result<u32, Cause>> {
    poll_fn(|task| {
        Poll::Ready(match taking.as_mut().poll(task) {
            Poll::Ready(taken) => Some(taken.map(|carrier| carrier.number)),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn one_who_no_longer_waits_loses_no_carrier() {
    let (line, mut maker) = (up(), Maker::default());
    {
        let (mut first, mut second) = (Box::pin(line.take(late())), pin!(line.take(late())));
        let mut second: Taking<'_> = second.as_mut();
        assert_eq!(look(&mut (first.as_mut() as Taking<'_>)).await, None);
        assert_eq!(look(&mut second).await, None);
        assert!(line.offer(maker.carrier()).is_none());

        // It was called, and has gone before it looked.
        drop(first);

        assert_eq!(look(&mut second).await, Some(Ok(1)));
    }
    assert_eq!((maker.lost(), line.demand(Instant::now()).waiting), (0, 0));
}

#[tokio::test]
async fn those_who_wait_get_carriers_in_the_order_in_which_they_came() {
    let (line, mut maker) = (up(), Maker::default());
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(line.take(late()))).collect();
    for taking in &mut waiting {
        assert_eq!(look(&mut (taking.as_mut() as Taking<'_>)).await, None);
    }

    assert!(line.offer(maker.carrier()).is_none() && line.offer(maker.carrier()).is_none());

    assert_eq!(look(&mut (waiting[2].as_mut() as Taking<'_>)).await, None);
    assert_eq!(look(&mut (waiting[1].as_mut() as Taking<'_>)).await, None);
    // Each takes the one that was offered last.
    assert_eq!(look(&mut (waiting[0].as_mut() as Taking<'_>)).await, Some(Ok(2)));
    drop(waiting.remove(0));
    assert_eq!(look(&mut (waiting[0].as_mut() as Taking<'_>)).await, Some(Ok(1)));
    assert_eq!(line.numbers().waits.get(), 3);
}

#[tokio::test]
async fn a_carrier_that_is_gone_is_skipped_and_reported() {
    let (line, mut maker) = (up(), Maker::default());
    assert!(line.offer(maker.carrier()).is_none());
    let newest = maker.carrier();
    newest.gone.store(true, Relaxed);
    assert!(line.offer(newest).is_none());

    assert_eq!(line.take(late()).await.map(|carrier| carrier.number), Ok(1));
    assert_eq!(maker.lost(), 1);

    // So for one who waits.
    let mut taking = pin!(line.take(late()));
    let mut taking: Taking<'_> = taking.as_mut();
    assert_eq!(look(&mut taking).await, None);
    let gone = maker.carrier();
    gone.gone.store(true, Relaxed);
    assert!(line.offer(gone).is_none());
    assert_eq!(look(&mut taking).await, None);
    assert!(line.offer(maker.carrier()).is_none());
    assert_eq!(look(&mut taking).await, Some(Ok(4)));
    assert_eq!(maker.lost(), 2);
}

#[tokio::test]
async fn a_tunnel_that_goes_down_fails_those_who_wait_and_drops_what_is_idle() {
    let (line, mut maker) = (up(), Maker::default());
    let mut taking = pin!(line.take(late()));
    let mut taking: Taking<'_> = taking.as_mut();
    assert_eq!(look(&mut taking).await, None);

    line.set_down();
    // Even if it is up again before they look.
    line.set_up();
    assert!(line.offer(maker.carrier()).is_none());

    assert_eq!(look(&mut taking).await, Some(Err(Cause::TunnelDown)));
    line.set_down();
    assert_eq!(maker.lost(), 1);
    assert_eq!(line.take(late()).await.err(), Some(Cause::TunnelDown));
    assert!(line.offer(maker.carrier()).is_some());
}

#[tokio::test]
async fn who_finds_no_carrier_in_time_is_told_that_the_tunnel_is_busy() {
    let line = up();

    assert_eq!(line.take(Instant::now()).await.err(), Some(Cause::TunnelBusy));

    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(line.take(late()))).collect();
    for taking in &mut waiting {
        assert_eq!(look(&mut (taking.as_mut() as Taking<'_>)).await, None);
    }
    assert_eq!(line.take(late()).await.err(), Some(Cause::TunnelBusy));
    assert_eq!((line.numbers().busy.get(), line.demand(Instant::now()).waiting), (2, MAX_WAITING));
    drop(waiting);
    assert_eq!(line.demand(Instant::now()).waiting, 0);
}

#[tokio::test]
async fn the_pool_is_told_once_of_many_changes() {
    let (line, mut maker) = (up(), Maker::default());
    (0..5).for_each(|_| assert!(line.offer(maker.carrier()).is_none()));
    line.take(late()).await.ok();

    line.changed().await;

    let again = poll_fn({
        let mut again = Box::pin(line.changed());
        move |task| Poll::Ready(again.as_mut().poll(task).is_ready())
    });
    assert!(!again.await);
    assert_eq!(line.demand(Instant::now()), Demand { idle: 4, waiting: 0, takes: 1 });
    assert_eq!(line.take_idle_older_than(Duration::ZERO).len(), 4);
}

#[tokio::test]
async fn a_watcher_sees_each_state_once() {
    let line = up();
    let mut watch = line.watch();
    assert!(watch.borrow_and_update().is_up());

    line.set_up();
    line.set_state("web", None);
    assert!(!watch.has_changed().unwrap());

    line.set_state("web", Some(Cause::Refused));
    assert!(watch.has_changed().unwrap());
    line.set_down();
    assert!(!watch.borrow_and_update().is_up());
    // The other end's word of before does not hold for what comes up next.
    line.set_state("web", Some(Cause::Refused));
    assert!(!watch.has_changed().unwrap());
}

#[tokio::test]
async fn a_carrier_is_used_for_the_first_time_once() {
    let (line, mut maker) = (up(), Maker::default());
    for is_new in [true, false, true] {
        assert!(line.offer(Fake { is_new, ..maker.carrier() }).is_none());
        line.take(late()).await.ok().unwrap();
    }

    assert_eq!([line.take_first_uses(), line.take_first_uses()], [2, 0]);
}
