//! The stop that has waited long enough: said once, it ends every session that is left.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Whether it was said, and who waits to hear it.
#[derive(Default)]
pub(crate) struct Cut {
    said: AtomicBool,
    waiting: Notify,
}

impl Cut {
    /// Says it.
    pub(crate) fn say(&self) {
        self.said.store(true, Relaxed);
        self.waiting.notify_waiters();
    }

    /// Whether it was said.
    pub(crate) fn is_said(&self) -> bool {
        self.said.load(Relaxed)
    }

    /// A place among those who wait, for [`Cut::unless`]. It comes before the first of those, and lives as long as the
    /// last.
    pub(crate) fn place(&self) -> Notified<'_> {
        self.waiting.notified()
    }

    /// Does `work`, or gives it up with `None` once the cut is said. It must be awaited by one task alone.
    ///
    /// Looking into the place takes a lock that all sessions share, which none may do for each of its messages. One look
    /// makes sure that this task is woken, and whoever is woken sees the flag.
    pub(crate) fn unless<T>(
        &self,
        place: Pin<&mut Notified<'_>>,
        mut work: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> impl Future<Output = Option<T>> {
        let mut place = Some(place);
        poll_fn(move |task| {
            if let Poll::Ready(done) = work.as_mut().poll(task) {
                return Poll::Ready(Some(done));
            }
            if let Some(place) = place.take() {
                // Ready means that it was said meanwhile, which the flag tells.
                let _ = place.poll(task);
            }
            if self.is_said() { Poll::Ready(None) } else { Poll::Pending }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use tokio::task::yield_now;

    use super::*;

    async fn wait(cut: &Cut) -> Option<()> {
        let mut place = pin!(cut.place());
        assert_eq!(cut.unless(place.as_mut(), pin!(ready(1))).await, Some(1));
        cut.unless(place, pin!(pending())).await
    }

    #[tokio::test]
    async fn a_cut_ends_whoever_waits_already_and_whoever_comes_later() {
        let cut = Cut::default();
        let later = async {
            yield_now().await;
            cut.say();
        };

        let (early, ()) = tokio::join!(wait(&cut), later);

        assert_eq!((early, wait(&cut).await), (None, None));
    }

    #[tokio::test]
    async fn work_that_is_done_is_done_whatever_was_said() {
        let cut = Cut::default();
        cut.say();

        assert_eq!(cut.unless(pin!(cut.place()), pin!(ready(1))).await, Some(1));
    }
}
