use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::address::{Address, Run, TargetAddress, TunnelName};
use crate::balance::{Fitness, Key};
use crate::engine::names::Names;
use crate::engine::targets::attempts::Attempts;
use crate::engine::targets::greeting::Greeting;
use crate::engine::targets::health::{Event, News, Stage};
use crate::engine::targets::notify::RequestKind;
use crate::engine::targets::pool::{Member, Picked, Pool, Tried};
use crate::engine::targets::registry::Targets;
use crate::engine::targets::target::{Monitor, Target};
use crate::outcome::Cause;
use crate::plan;
use crate::transport::Destination;
use crate::transport::tunnel::carrier::{FrameLink, Home, Stay, testing};

/// What targets have reported.
#[derive(Default)]
struct Told(Mutex<Vec<(Arc<str>, Stage)>>);

impl Monitor for Told {
    fn ask(&self, target: &Arc<Target>, kind: RequestKind, _: Instant) -> bool {
        if let RequestKind::News { news: News::Became { stage, .. }, .. } = kind {
            self.0.lock().unwrap().push((target.name().clone(), stage));
        }
        true
    }

    fn wake(&self) {}
}

/// Targets whose news are kept, and the tunnels they are in.
struct House {
    targets: Targets,
    lines: Arc<Lines>,
    told: Arc<Told>,
}

impl House {
    fn new() -> House {
        let (lines, told) = (Arc::<Lines>::default(), Arc::<Told>::default());
        House { targets: Targets::new(Arc::<Names>::default(), lines.clone(), told.clone()), lines, told }
    }

    fn target(&self, to: &str) -> Arc<Target> {
        self.of(&address(to).into())
    }

    fn of(&self, to: &Destination) -> Arc<Target> {
        let rules = HealthRules { rise: 3, fall: 3, ..HealthRules::default() };
        self.targets.get(to, &rules, &Greeting::default(), &"web".into())
    }

    fn line(&self, name: &str) -> Arc<Line> {
        self.lines.get(&name.parse::<TunnelName>().unwrap())
    }

    fn told(&self) -> Vec<Stage> {
        self.told.0.lock().unwrap().drain(..).map(|(_, stage)| stage).collect()
    }
}

fn address(text: &str) -> TargetAddress {
    text.parse::<Run<TargetAddress>>().unwrap().first().clone()
}

const DOWN: Stage = Stage::Down(Cause::TunnelDown);

#[tokio::test]
async fn a_target_in_a_tunnel_is_down_with_it_and_back_with_it_and_each_is_told_once() {
    let house = House::new();
    let (target, line) = (house.target("tunnel:home/web"), house.line("home"));
    line.set_up();
    target.follow_tunnel(false);
    assert_eq!((target.stage(), house.told()), (Stage::Up, vec![]));

    line.set_down();
    (0..3).for_each(|_| target.follow_tunnel(false));
    assert_eq!((target.stage(), house.told()), (DOWN, vec![DOWN]));
    assert!(matches!(target.fitness(Instant::now()), Fitness::Ill));

    line.set_up();
    (0..3).for_each(|_| target.follow_tunnel(false));
    assert_eq!((target.stage(), house.told()), (Stage::Up, vec![Stage::Up]));
}

#[tokio::test]
async fn a_tunnel_that_has_not_been_up_yet_is_called_down_when_a_client_asks() {
    let house = House::new();
    let (target, line) = (house.target("tunnel:home/web"), house.line("home"));
    target.follow_tunnel(false);
    assert_eq!(target.stage(), Stage::Unknown);

    let mut attempts = Attempts::default();
    let taken = target.take_carrier(Duration::from_secs(60), &mut attempts).await.unwrap();
    let failed = taken.err().unwrap();

    assert_eq!((failed.cause, failed.far, target.stage()), (Cause::TunnelDown, false, DOWN));
    let attempts = attempts.into_vec(|| None);
    assert_eq!(attempts[0].address, Address::Named("tunnel:home/web".into()));
    assert_eq!((attempts.len(), attempts[0].cause), (1, Some(Cause::TunnelDown)));
    // Who waits until it is back is woken by the tunnel.
    let mut up = pin!(target.up());
    assert!(poll_fn(|task| Poll::Ready(up.as_mut().poll(task).is_pending())).await);
    line.set_up();
    target.follow_tunnel(false);
    up.await;
}

#[tokio::test]
async fn a_service_is_down_by_the_word_of_the_other_end_at_once() {
    let house = House::new();
    let (web, db, line) =
        (house.target("tunnel:home/web"), house.target("tunnel:home/db"), house.line("home"));
    line.set_up();

    line.set_state("web", Some(Cause::Refused));
    [&web, &db].iter().for_each(|target| target.follow_tunnel(false));

    assert_eq!((web.stage(), db.stage()), (Stage::Down(Cause::Refused), Stage::Up));
    assert_eq!(web.by_tunnel().unwrap().fault(), Some(Fault { cause: Cause::Refused, far: true }));
    // No client is risked: the other end says when it is back.
    assert!(!web.take_trial(Instant::now()) && !web.take_trial(Instant::now() + Duration::from_secs(60)));

    // What a session was told of the service is the other end's to judge; that it is not offered, is not.
    db.answered_there(Err(Cause::TimedOut));
    assert_eq!(db.stage(), Stage::Up);
    (0..3).for_each(|_| db.answered_there(Err(Cause::TunnelRefused)));
    assert_eq!(db.stage(), Stage::Down(Cause::TunnelRefused));

    line.set_state("web", None);
    web.follow_tunnel(false);
    assert_eq!(web.stage(), Stage::Up);
}

#[tokio::test]
async fn an_address_behind_a_tunnel_is_down_by_the_answers_of_sessions_and_tried_again() {
    let house = House::new();
    let (target, line) = (house.target("tunnel:home/10.0.0.5:5432"), house.line("home"));
    line.set_up();
    target.follow_tunnel(false);
    let now = Instant::now();

    (0..2).for_each(|_| target.answered_there(Err(Cause::Refused)));
    assert_eq!(target.stage(), Stage::Up, "three failures are asked for by `fall`");
    target.answered_there(Err(Cause::Refused));
    assert_eq!(target.stage(), Stage::Down(Cause::Refused));
    // That a carrier was had is no sign of the target.
    target.note(Event::Reached);
    target.follow_tunnel(false);
    assert_eq!(target.stage(), Stage::Down(Cause::Refused));

    assert!(!target.take_trial(now));
    assert!(target.take_trial(now + Duration::from_secs(2)));
    (0..3).for_each(|_| target.answered_there(Ok(())));
    assert_eq!(target.stage(), Stage::Up);

    // An answer that was on its way when the tunnel broke.
    line.set_down();
    target.follow_tunnel(false);
    (0..3).for_each(|_| target.answered_there(Ok(())));
    assert_eq!(target.stage(), DOWN);
}

#[tokio::test]
async fn a_tunnel_without_a_free_carrier_is_no_fault_of_the_target() {
    let house = House::new();
    let (target, line) = (house.target("tunnel:home/web"), house.line("home"));
    line.set_up();
    target.follow_tunnel(false);

    let taken = target.take_carrier(Duration::ZERO, &mut Attempts::default()).await.unwrap();

    assert_eq!(taken.err().map(|failed| failed.cause), Some(Cause::TunnelBusy));
    assert_eq!((target.stage(), house.told()), (Stage::Up, vec![]));
}

#[tokio::test]
async fn a_client_goes_to_the_tunnel_that_is_up_and_to_the_other_when_that_fails() {
    let house = House::new();
    let plan = plan::parse("test", "routes.web = { listen = '127.0.0.1:0', target = '1' }", &[]).unwrap();
    let route = plan.routes.values().next().unwrap();
    let there = ["tunnel:home/web", "tunnel:office/web"];
    let targets = there.map(|to| plan::Target::from(address(to)));
    let route = plan::Route { targets: targets.into(), ..(**route).clone() };
    let pool = Pool::new(&route, 0, |to| house.of(to));
    let [home, office] = ["home", "office"].map(|name| house.line(name));
    let picks = |count: usize| {
        pool.all().for_each(|target| target.follow_tunnel(true));
        let pick = |_| pool.pick(|| Key::of(b"x"), &Tried::default(), Instant::now());
        (0..count).map(pick).collect::<Vec<_>>()
    };
    home.set_up();
    office.set_up();
    assert!([0, 1].iter().all(|n| picks(4).contains(&Picked::At(*n))));

    home.set_down();
    assert_eq!(picks(4), [Picked::At(1); 4]);

    // A service that is down there is as good as a tunnel that is.
    home.set_up();
    office.set_state("web", Some(Cause::Refused));
    assert_eq!(picks(4), [Picked::At(0); 4]);
}

struct Nowhere;

impl Home for Nowhere {
    fn free(&self, _: Carrier) -> Option<Stay> {
        None
    }

    fn lost(&self) {}
}

fn carrier(link: FrameLink, carried: u32) -> Carrier {
    let peer = SocketAddr::from(([127, 0, 0, 1], 4433));
    Carrier { link: link.park().unwrap().into(), peer, carried, home: Arc::new(Nowhere) }
}

#[tokio::test]
async fn a_carrier_whose_other_end_is_gone_is_not_handed_out() {
    let house = House::new();
    let (target, line) = (house.target("tunnel:home/web"), house.line("home"));
    line.set_up();
    let ((first, _kept), (second, closed)) = (testing::links().await, testing::links().await);
    assert!(line.offer(carrier(first, 1)).is_none());
    let second = carrier(second, 2);
    drop(closed);
    testing::until("the end of the other end", || second.link.is_gone()).await;
    assert!(line.offer(second).is_none());

    let taken = target.take_carrier(Duration::from_secs(60), &mut Attempts::default()).await.unwrap();

    assert_eq!(taken.ok().map(|taken| taken.carrier.carried), Some(1));
    assert_eq!(line.demand(Instant::now()).idle, 0);
}
