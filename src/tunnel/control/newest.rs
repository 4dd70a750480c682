//! What the other end wants and says of its routes and of QUIC is applied once a second at most: of what comes meanwhile, the newest. Pure: the clock is
//! an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::transport::tunnel::message::{
    BadSet, Datagrams, Gathered, MAX_ROUTES, Message, RouteIs, Routes, RoutesAre, SameKey, State, WantedRoute,
};

/// The time between two that are applied.
const BETWEEN: Duration = Duration::from_secs(1);

/// What has come and is not applied yet.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// The parts of a set whose end has not come.
    routes_begun: Gathered<WantedRoute>,
    answers_begun: Gathered<RouteIs>,
    routes: Slot<Vec<WantedRoute>>,
    answers: Slot<Vec<RouteIs>>,
    states: Slot<BTreeMap<String, State>>,
    same_key: Slot<SameKey>,
    asks: Slot<()>,
    datagrams: Slot<Datagrams>,
    /// It does not wait: visitors do, and how fast carriers are opened has a pace of its own.
    carry: Option<u16>,
}

/// One kind.
#[derive(Debug)]
struct Slot<T> {
    waiting: Option<T>,
    /// When one was applied last.
    applied: Option<Instant>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot { waiting: None, applied: None }
    }
}

impl<T> Slot<T> {
    fn due(&self) -> Option<Option<Instant>> {
        self.waiting.as_ref().map(|_| self.applied.map(|at| at + BETWEEN))
    }

    fn take(&mut self, now: Instant) -> Option<T> {
        let is_due = self.applied.is_none_or(|at| now >= at + BETWEEN);
        let taken = if is_due { self.waiting.take() } else { None };
        if taken.is_some() {
            self.applied = Some(now);
        }
        taken
    }
}

impl Newest {
    /// Keeps a message of these kinds; gives back any other.
    ///
    /// # Errors
    /// A set that is none, or states of more routes than a tunnel may have.
    pub(crate) fn keep(&mut self, message: Message) -> Result<Option<Message>, BadSet> {
        match message {
            Message::Routes(part) => keep(&mut self.routes, self.routes_begun.add(part)?),
            Message::RoutesAre(part) => keep(&mut self.answers, self.answers_begun.add(part)?),
            Message::State(state) => {
                let states = self.states.waiting.get_or_insert_default();
                states.insert(state.route.clone(), state);
                if states.len() > MAX_ROUTES {
                    return Err(BadSet::TooMany);
                }
            }
            Message::SameKey(other) => self.same_key.waiting = Some(other),
            Message::AskDatagrams => self.asks.waiting = Some(()),
            Message::Datagrams(datagrams) => self.datagrams.waiting = Some(datagrams),
            Message::Carry { ready } => self.carry = Some(ready),
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Whether anything waits, and until when; some past time if it need not wait.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let sets = [self.routes.due(), self.answers.due(), self.states.due()];
        let others = [self.same_key.due(), self.asks.due(), self.datagrams.due(), self.carry.map(|_| None)];
        let all = sets.into_iter().chain(others);
        all.flatten().map(|at| at.unwrap_or(now)).min()
    }

    /// What is to be applied now: sets of routes are whole.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Message> {
        let mut taken = Vec::new();
        taken.extend(self.routes.take(now).map(|routes| Message::Routes(Routes { routes, more: false })));
        taken.extend(
            self.answers.take(now).map(|it| Message::RoutesAre(RoutesAre { routes: it, more: false })),
        );
        taken.extend(self.states.take(now).into_iter().flat_map(|all| all.into_values().map(Message::State)));
        taken.extend(self.same_key.take(now).map(Message::SameKey));
        taken.extend(self.asks.take(now).map(|()| Message::AskDatagrams));
        taken.extend(self.datagrams.take(now).map(Message::Datagrams));
        taken.extend(self.carry.take().map(|ready| Message::Carry { ready }));
        taken
    }
}

/// A whole set replaces the one that waits.
fn keep<T>(slot: &mut Slot<T>, whole: Option<T>) {
    slot.waiting = whole.or(slot.waiting.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Protocol;

    fn route(name: &str) -> WantedRoute {
        WantedRoute { name: name.into(), protocol: Protocol::Tcp, listen: Vec::new() }
    }

    fn routes(names: &[&str], more: bool) -> Message {
        Message::Routes(Routes { routes: names.iter().map(|name| route(name)).collect(), more })
    }

    fn state(route: &str, up: bool) -> Message {
        Message::State(State { route: route.into(), up, cause: None })
    }

    #[test]
    fn the_first_is_applied_at_once_and_of_those_within_a_second_only_the_newest() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut newest = Newest::default();
        assert_eq!(newest.due(start), None);

        assert_eq!(newest.keep(routes(&["a"], false)), Ok(None));
        assert_eq!((newest.due(start), newest.take(start)), (Some(start), vec![routes(&["a"], false)]));
        for names in [["b"], ["c"], ["d"]] {
            newest.keep(routes(&names, false)).unwrap();
        }

        assert_eq!((newest.due(at(5)), newest.take(at(999))), (Some(at(1000)), Vec::new()));
        assert_eq!(newest.take(at(1000)), [routes(&["d"], false)]);
        assert_eq!((newest.due(at(5000)), newest.take(at(5000))), (None, Vec::new()));
    }

    #[test]
    fn the_newest_state_of_each_route_counts() {
        let start = Instant::now();
        let mut newest = Newest::default();
        for (route, up) in [("web", false), ("db", false), ("web", true)] {
            newest.keep(state(route, up)).unwrap();
        }

        assert_eq!(newest.take(start), [state("db", false), state("web", true)]);
    }

    #[test]
    fn a_set_in_parts_counts_once_its_end_has_come() {
        let start = Instant::now();
        let mut newest = Newest::default();
        newest.keep(routes(&["a", "b"], true)).unwrap();
        assert_eq!(newest.take(start), []);

        newest.keep(routes(&["c"], false)).unwrap();

        assert_eq!(newest.take(start), [routes(&["a", "b", "c"], false)]);
    }

    #[test]
    fn a_tunnel_has_1024_routes_and_no_more() {
        let names: Vec<String> = (0..=MAX_ROUTES).map(|n| format!("r{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (most, beyond) = (&names[..MAX_ROUTES], &names[..]);

        assert_eq!(Newest::default().keep(routes(most, false)), Ok(None));
        assert_eq!(Newest::default().keep(routes(beyond, false)), Err(BadSet::TooMany));
        let mut in_parts = Newest::default();
        in_parts.keep(routes(most, true)).unwrap();
        assert_eq!(in_parts.keep(routes(&["z"], true)), Err(BadSet::TooMany));
        let mut states = Newest::default();
        assert!(most.iter().all(|name| states.keep(state(name, true)).is_ok()));
        assert_eq!(states.keep(state("z", true)), Err(BadSet::TooMany));
        let bye = Message::Unknown;
        assert_eq!(states.keep(bye.clone()), Ok(Some(bye)), "nothing else is held back");
    }

    #[test]
    fn whoever_else_has_the_key_is_told_of_once_a_second_at_most() {
        let start = Instant::now();
        let mut newest = Newest::default();
        let other = |n: u16| {
            let from = format!("192.0.2.7:{n}");
            Message::SameKey(SameKey { from, since: String::new() })
        };
        for n in 1..=3 {
            assert_eq!(newest.keep(other(n)), Ok(None));
        }

        assert_eq!((newest.due(start), newest.take(start)), (Some(start), vec![other(3)]));
        newest.keep(other(4)).unwrap();
        assert_eq!((newest.take(start), newest.take(start + BETWEEN)), (Vec::new(), vec![other(4)]));
    }

    #[test]
    fn the_wish_for_carriers_is_applied_at_once_each_time() {
        let start = Instant::now();
        let mut newest = Newest::default();
        for ready in [3, 64] {
            newest.keep(Message::Carry { ready }).unwrap();
            assert_eq!(
                (newest.due(start), newest.take(start)),
                (Some(start), vec![Message::Carry { ready }])
            );
        }
        assert_eq!(newest.due(start), None);
    }

    #[test]
    fn a_token_for_quic_is_asked_for_and_given_once_a_second_at_most() {
        use crate::transport::tunnel::message::Token;

        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let given = |n| Message::Datagrams(Datagrams { port: 4433, token: Token([n; 16]) });
        let mut newest = Newest::default();
        let keep = |newest: &mut Newest, message| assert_eq!(newest.keep(message), Ok(None));
        keep(&mut newest, Message::AskDatagrams);
        keep(&mut newest, given(1));
        assert_eq!(newest.take(start), [Message::AskDatagrams, given(1)]);
        for n in 2..9 {
            keep(&mut newest, Message::AskDatagrams);
            keep(&mut newest, given(n));
        }

        assert_eq!((newest.due(at(5)), newest.take(at(999))), (Some(at(1000)), Vec::new()));
        assert_eq!(newest.take(at(1000)), [Message::AskDatagrams, given(8)]);
    }
}
