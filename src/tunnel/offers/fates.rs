//! What became of the routes that this end asked for, as the other end says: one line each, at first and on change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Offer, Offers};
use crate::address::{Protocol, TunnelName};
use crate::transport::tunnel::message::{Fate, RefusedCode, RouteIs};
use crate::units::shown;

/// The most characters of an address that the other end says.
const MAX_ADDRESS: usize = 120;

/// What was told last, of each route and each address asked for.
#[derive(Debug, Default)]
pub(crate) struct Fates(BTreeMap<(String, Option<String>), Fate>);

/// A line.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// It is as asked for.
    Good(String),
    /// It is not.
    Bad(String),
}

impl Fates {
    /// What to say of a whole new set of answers. `there` is this tunnel's name at the other end, if it has said one.
    pub(crate) fn news(
        &mut self,
        tunnel: &TunnelName,
        there: Option<&TunnelName>,
        offers: &Offers,
        answers: Vec<RouteIs>,
    ) -> Vec<Line> {
        let mut now = BTreeMap::new();
        let mut lines = Vec::new();
        for RouteIs { name, asked, fate } in answers {
            // What was never offered is not worth a line.
            let Some(offer) = offers.get(&name) else { continue };
            let is_asked = asked.as_ref().is_none_or(|asked| offer.listen.contains(asked));
            let key = (name, asked);
            if !is_asked || now.contains_key(&key) {
                continue;
            }
            if self.0.get(&key) != Some(&fate) {
                let of = Of { tunnel, there, offers, offer, name: &key.0, asked: key.1.as_deref() };
                lines.extend(of.lines(&fate));
            }
            now.insert(key, fate);
        }
        self.0 = now;
        lines
    }
}

impl Line {
    /// Logs it.
    pub(crate) fn log(&self, tunnel: &TunnelName) {
        match self {
            Line::Good(text) => tracing::info!("tunnel" = %tunnel, "{text}"),
            Line::Bad(text) => tracing::warn!("tunnel" = %tunnel, "{text}"),
        }
    }
}

/// What a line is about.
struct Of<'o> {
    tunnel: &'o TunnelName,
    there: Option<&'o TunnelName>,
    offers: &'o Offers,
    offer: &'o Offer,
    name: &'o str,
    asked: Option<&'o str>,
}

impl Of<'_> {
    fn lines(&self, fate: &Fate) -> Vec<Line> {
        let Of { tunnel, offer, name, .. } = self;
        match fate {
            Fate::Offered => vec![Line::Good(format!("offered route={name} at={tunnel}"))],
            Fate::Listening { address } => {
                let address = format!("{}{}", shown(address, MAX_ADDRESS), offer.behind());
                vec![
                    Line::Good(format!("listening route={name} at={tunnel} address={address}")),
                    Line::Good(format!(
                        "Forwarding tunnel:{tunnel}/{address} -> {} (route {name})",
                        offer.targets
                    )),
                ]
            }
            Fate::Refused { code } => vec![Line::Bad(self.refused(*code))],
        }
    }

    fn refused(&self, code: RefusedCode) -> String {
        let Of { tunnel, name, offer, .. } = self;
        let asked = match self.asked {
            Some(asked) => format!("{asked}{}", offer.behind()),
            None => "none".to_owned(),
        };
        let (word, what) = match code {
            RefusedCode::NotPermitted => ("not_permitted", self.permission()),
            RefusedCode::Taken => ("taken", taken(self.asked.unwrap_or_default(), offer.protocol)),
            RefusedCode::AddressNotHere => {
                ("address_not_here", "no interface there has this address".to_owned())
            }
            RefusedCode::Privileged => (
                "privileged",
                "the other end may not listen there: give it the right, or another port".to_owned(),
            ),
            RefusedCode::OutOfResources => {
                ("out_of_resources", "the other end has no descriptors or memory left".to_owned())
            }
            RefusedCode::TooMany => ("too_many", "see `max_listeners` there".to_owned()),
            RefusedCode::Unsupported => {
                ("unsupported", "the other end's version cannot listen like that".to_owned())
            }
            RefusedCode::Other => ("other", "the other end's log says more".to_owned()),
        };
        format!("refused route={name} at={tunnel} address={asked} code={word}: {what}")
    }

    /// The line has all that this end asks for there: a key stands once in a table.
    fn permission(&self) -> String {
        let name = self.there.map_or("NAME", TunnelName::as_str);
        let all: BTreeSet<_> = self.offers.addresses().map(|address| format!("\"{address}\"")).collect();
        let all: Vec<_> = all.into_iter().collect();
        format!(
            "the other end does not permit it. There, [tunnels.{name}] needs: may_listen = [{}]",
            all.join(", ")
        )
    }
}

fn taken(asked: &str, protocol: Protocol) -> String {
    let udp = if protocol == Protocol::Udp { " --udp" } else { "" };
    let port = asked.rsplit_once(':').map_or(asked, |(_, port)| port);
    format!(
        "something there has it; it is tried again there. Ask there: loopgate explain {port} --listen{udp}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{RouteId, RouteName, Source};

    fn offers() -> Offers {
        let offer = |name: &str, listen: &[&str]| {
            let id = RouteId { source: Source::file(), name: RouteName(name.into()) };
            let listen = listen.iter().map(|address| (*address).to_owned()).collect();
            let targets = "127.0.0.1:62893".to_owned();
            (name.to_owned(), Offer { id, targets, protocol: Protocol::Tcp, listen })
        };
        Offers { routes: [offer("web", &["0.0.0.0:8080", "0.0.0.0:0"]), offer("db", &[])].into() }
    }

    fn is(name: &str, asked: Option<&str>, fate: Fate) -> RouteIs {
        RouteIs { name: name.into(), asked: asked.map(Into::into), fate }
    }

    fn listening(asked: &str, address: &str) -> RouteIs {
        is("web", Some(asked), Fate::Listening { address: address.into() })
    }

    fn refused(code: RefusedCode) -> RouteIs {
        is("web", Some("0.0.0.0:8080"), Fate::Refused { code })
    }

    /// What is said of each of these answers, one after the other.
    fn told<const N: usize>(there: Option<&str>, answers: [Vec<RouteIs>; N]) -> [Vec<Line>; N] {
        let there = there.map(|name| name.parse().unwrap());
        let mut fates = Fates::default();
        answers.map(|answers| fates.news(&"vps".parse().unwrap(), there.as_ref(), &offers(), answers))
    }

    #[test]
    fn where_a_route_listens_is_said_once_and_again_when_it_changes() {
        let at = |port: u16| vec![listening("0.0.0.0:0", &format!("0.0.0.0:{port}"))];

        let [first, same, other] = told(None, [at(20417), at(20417), at(20418)]);

        let lines = |port: u16| {
            [
                Line::Good(format!("listening route=web at=vps address=0.0.0.0:{port}")),
                Line::Good(format!("Forwarding tunnel:vps/0.0.0.0:{port} -> 127.0.0.1:62893 (route web)")),
            ]
        };
        assert_eq!(first, lines(20417));
        assert_eq!(same, []);
        assert_eq!(other, lines(20418));
    }

    #[test]
    fn a_route_of_datagrams_is_told_as_one() {
        let id = RouteId { source: Source::file(), name: RouteName("game".into()) };
        let listen = vec!["0.0.0.0:27015".to_owned()];
        let offer = Offer { id, targets: "127.0.0.1:27015".into(), protocol: Protocol::Udp, listen };
        let offers = Offers { routes: [("game".to_owned(), offer)].into() };
        let (mut fates, vps) = (Fates::default(), "vps".parse().unwrap());
        let mut told = |fate: Fate| {
            let lines = fates.news(&vps, None, &offers, vec![is("game", Some("0.0.0.0:27015"), fate)]);
            let text = |line| match line {
                Line::Good(text) | Line::Bad(text) => text,
            };
            lines.into_iter().map(text).collect::<Vec<_>>()
        };

        let refused = told(Fate::Refused { code: RefusedCode::NotPermitted }).concat();
        let taken = told(Fate::Refused { code: RefusedCode::Taken }).concat();
        let listens = told(Fate::Listening { address: "0.0.0.0:27015".into() });

        assert!(refused.contains("address=0.0.0.0:27015/udp code=not_permitted"), "{refused}");
        assert!(refused.ends_with("[tunnels.NAME] needs: may_listen = [\"0.0.0.0:27015/udp\"]"), "{refused}");
        assert!(taken.ends_with("loopgate explain 27015 --listen --udp"), "{taken}");
        assert_eq!(
            listens,
            [
                "listening route=game at=vps address=0.0.0.0:27015/udp",
                "Forwarding tunnel:vps/0.0.0.0:27015/udp -> 127.0.0.1:27015 (route game)"
            ]
        );
    }

    #[test]
    fn a_refusal_says_what_to_add_there_and_under_which_name() {
        let all = [vec![refused(RefusedCode::NotPermitted)], vec![refused(RefusedCode::Taken)]];

        let [permission, taken] = told(Some("home"), all);

        assert_eq!(
            permission,
            [Line::Bad(
                "refused route=web at=vps address=0.0.0.0:8080 code=not_permitted: the other end does not permit it. \
                 There, [tunnels.home] needs: may_listen = [\"0.0.0.0:0\", \"0.0.0.0:8080\"]"
                    .into()
            )]
        );
        assert_eq!(
            taken,
            [Line::Bad(
                "refused route=web at=vps address=0.0.0.0:8080 code=taken: something there has it; it is tried again \
                 there. Ask there: loopgate explain 8080 --listen"
                    .into()
            )]
        );
    }

    #[test]
    fn a_port_that_becomes_free_is_said_and_one_that_is_lost_again_too() {
        let (free, taken) = (listening("0.0.0.0:8080", "0.0.0.0:8080"), refused(RefusedCode::Taken));

        let said = told(None, [vec![taken.clone()], vec![taken.clone()], vec![free], vec![taken]]);

        assert_eq!(said.map(|lines| lines.len()), [1, 0, 2, 1]);
    }

    #[test]
    fn what_was_never_asked_for_is_not_believed() {
        let answers = vec![
            is("other", None, Fate::Offered),
            listening("0.0.0.0:9", "0.0.0.0:9"),
            is("db", None, Fate::Offered),
            is("db", None, Fate::Refused { code: RefusedCode::Other }),
        ];

        let [said] = told(None, [answers]);

        assert_eq!(said, [Line::Good("offered route=db at=vps".into())]);
    }

    #[test]
    fn what_the_other_end_calls_an_address_cannot_disturb_a_terminal() {
        let [said] = told(None, [vec![listening("0.0.0.0:0", "\u{1b}[2J\nFAKE")]]);

        let [Line::Good(text), _] = &said[..] else { panic!("{said:?}") };
        assert!(!text.contains('\u{1b}') && !text.contains('\n'), "{text}");
    }
}
