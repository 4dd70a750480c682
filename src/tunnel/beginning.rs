//! What becomes of what this end asks for at the other, until the first of its routes listens there: a command line that is
//! there for nothing else ends if nothing can come of it.

use tokio::sync::watch;

use super::offers::Offers;
use crate::transport::tunnel::message::{Fate, RefusedCode, RouteIs};

/// Why nothing listens at the other end, and will not until somebody changes something there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InVain {
    /// The other end does not know the key of this machine.
    UnknownThere,
    /// The other end does not permit it, or may not listen there itself.
    NotPermitted,
    /// No interface there has the address.
    NotThere,
    /// Something there has the address.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    /// A route listens, or is offered by its name. It stays so: what comes later is the business of a program that runs.
    Begun,
    InVain(InVain),
}

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Beginning(watch::Sender<Known>);

impl Default for Beginning {
    fn default() -> Beginning {
        Beginning(watch::Sender::new(Known::Nothing))
    }
}

impl Beginning {
    /// The other end does not let this machine in.
    pub(crate) fn is_unknown_there(&self) {
        self.learn(Known::InVain(InVain::UnknownThere));
    }

    /// The other end has said what became of the routes it was asked for.
    pub(crate) fn hear(&self, offers: &Offers, answers: &[RouteIs]) {
        self.learn(of(offers, answers));
    }

    fn learn(&self, news: Known) {
        self.0.send_if_modified(|known| {
            let is_news = *known != Known::Begun && *known != news;
            if is_news {
                *known = news;
            }
            is_news
        });
    }

    /// Resolves once it is known to be in vain, never once a route has listened there. Cancel safe.
    pub(crate) async fn in_vain(&self) -> InVain {
        let mut known = self.0.subscribe();
        loop {
            match *known.borrow_and_update() {
                Known::InVain(why) => return why,
                Known::Begun => break,
                Known::Nothing => {}
            }
            if known.changed().await.is_err() {
                break;
            }
        }
        std::future::pending().await
    }
}

/// What the answers say of all that was asked for. Reasons that may pass by themselves are waited for.
fn of(offers: &Offers, answers: &[RouteIs]) -> Known {
    let mut whys = Vec::new();
    for answer in answers.iter().filter(|answer| offers.get(&answer.name).is_some()) {
        whys.push(match &answer.fate {
            Fate::Listening { .. } | Fate::Offered => return Known::Begun,
            Fate::Refused { code } => match code {
                RefusedCode::NotPermitted | RefusedCode::Privileged | RefusedCode::TooMany => {
                    Some(InVain::NotPermitted)
                }
                RefusedCode::AddressNotHere => Some(InVain::NotThere),
                RefusedCode::Taken => Some(InVain::Taken),
                RefusedCode::OutOfResources | RefusedCode::Unsupported | RefusedCode::Other => None,
            },
        });
    }
    let all: Option<Vec<InVain>> = whys.into_iter().collect();
    all.and_then(|whys| whys.into_iter().min()).map_or(Known::Nothing, Known::InVain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    const WANTED: &str = "[tunnels.vps]\nconnect = 'vps:4433'\npublic_key = 'KEY'\n\
        [routes.web]\nlisten = 'tunnel:vps/0.0.0.0:8080'\ntarget = '3000'\n\
        [routes.db]\nlisten = 'tunnel:vps/0.0.0.0:5432'\ntarget = '5432'\n";

    fn refused(name: &str, code: RefusedCode) -> RouteIs {
        RouteIs { name: name.into(), asked: Some("0.0.0.0:8080".into()), fate: Fate::Refused { code } }
    }

    fn listening(name: &str) -> RouteIs {
        RouteIs { name: name.into(), asked: None, fate: Fate::Listening { address: "0.0.0.0:8080".into() } }
    }

    /// What is known after each of these answers.
    async fn after<const N: usize>(answers: [Vec<RouteIs>; N]) -> Option<InVain> {
        let beginning = Beginning::default();
        let offers = offers();
        answers.iter().for_each(|answers| beginning.hear(&offers, answers));
        now(&beginning).await
    }

    async fn now(beginning: &Beginning) -> Option<InVain> {
        tokio::select! {
            biased;
            why = beginning.in_vain() => Some(why),
            () = std::future::ready(()) => None,
        }
    }

    fn offers() -> Offers {
        let folder = tempfile::tempdir().unwrap();
        let key = crate::transport::tunnel::identity::PrivateKey::generate().unwrap();
        key.write_new(&folder.path().join("tunnel.key")).unwrap();
        let other = crate::transport::tunnel::identity::PrivateKey::generate().unwrap().public().to_string();
        let file = folder.path().join("f.toml").display().to_string();
        let plan = plan::parse(&file, &WANTED.replace("KEY", &other), &[]).unwrap();
        Offers::of(&plan, &"vps".parse().unwrap())
    }

    #[tokio::test]
    async fn nothing_is_in_vain_while_a_route_listens_or_may_yet() {
        use RefusedCode::{NotPermitted, OutOfResources, Taken};

        assert_eq!(after([]).await, None);
        assert_eq!(after([vec![]]).await, None);
        assert_eq!(after([vec![refused("web", Taken), listening("db")]]).await, None);
        assert_eq!(after([vec![refused("web", Taken), refused("db", OutOfResources)]]).await, None);
        assert_eq!(after([vec![refused("of somebody else", NotPermitted)]]).await, None);
        assert_eq!(after([vec![listening("web")], vec![refused("web", Taken)]]).await, None, "it has begun");
    }

    #[tokio::test]
    async fn what_only_somebody_there_can_change_is_in_vain_and_the_first_reason_counts() {
        use RefusedCode::{AddressNotHere, NotPermitted, Privileged, Taken, TooMany};

        let both = |one, other| after([vec![refused("web", one), refused("db", other)]]);
        assert_eq!(both(Taken, Taken).await, Some(InVain::Taken));
        assert_eq!(both(Taken, AddressNotHere).await, Some(InVain::NotThere));
        for code in [NotPermitted, Privileged, TooMany] {
            assert_eq!(both(Taken, code).await, Some(InVain::NotPermitted));
        }
    }

    #[tokio::test]
    async fn an_end_that_does_not_know_the_key_is_waited_for_once_a_route_has_listened_there() {
        let beginning = Beginning::default();
        beginning.is_unknown_there();
        assert_eq!(now(&beginning).await, Some(InVain::UnknownThere));

        let beginning = Beginning::default();
        beginning.hear(&offers(), &[listening("web")]);
        beginning.is_unknown_there();
        assert_eq!(now(&beginning).await, None);
    }
}
