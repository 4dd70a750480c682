//! Whether the targets behind the offered routes are up, as the other end is told: on change alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use super::Offers;
use crate::engine::Handle;
use crate::outcome::Cause;
use crate::transport::tunnel::message::State;

/// How often the states are looked at: the other end applies them no more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the other end was told last; every route counts as up until it is told otherwise.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<String, Cause>);

impl Told {
    /// What to tell, if these are down now.
    fn news(&mut self, down: BTreeMap<String, Cause>) -> Vec<State> {
        let state = |route: &String, cause: Option<Cause>| State {
            route: route.clone(),
            up: cause.is_none(),
            cause: cause.map(|cause| cause.code().to_owned()),
        };
        let back = self.0.keys().filter(|route| !down.contains_key(*route)).map(|route| state(route, None));
        let worse = down.iter().filter(|(route, cause)| self.0.get(*route) != Some(cause));
        let news = back.chain(worse.map(|(route, cause)| state(route, Some(*cause)))).collect();
        self.0 = down;
        news
    }

    /// Resolves once there is something to tell. Cancel safe: what it returns counts as told, and nothing else does.
    pub(crate) async fn next(&mut self, offers: &Offers, engine: &Handle) -> Vec<State> {
        loop {
            let down =
                offers.all().filter_map(|(name, offer)| Some((name.to_owned(), engine.down(&offer.id)?)));
            let news = self.news(down.collect());
            if !news.is_empty() {
                return news;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let down =
            |all: &[(&str, Cause)]| all.iter().map(|(name, cause)| ((*name).to_owned(), *cause)).collect();
        let mut told = Told::default();
        let mut news = |all: &[(&str, Cause)]| {
            let news = told.news(down(all)).into_iter();
            news.map(|it| format!("{} {}", it.route, it.cause.unwrap_or("up".into()))).collect::<Vec<_>>()
        };

        assert_eq!(news(&[]), Vec::<String>::new());
        assert_eq!(news(&[("web", Cause::Refused)]), ["web refused"]);
        assert_eq!(news(&[("web", Cause::Refused), ("db", Cause::TimedOut)]), ["db timed_out"]);
        assert_eq!(news(&[("web", Cause::TimedOut)]), ["db up", "web timed_out"]);
        assert_eq!(news(&[("web", Cause::TimedOut)]), Vec::<String>::new());
        assert_eq!(news(&[]), ["web up"]);
    }
}
