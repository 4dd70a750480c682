//! The question to an end that knows this machine's key: what would become of these routes? Nothing is bound for it, and
//! nobody is replaced.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::getsockname;
use tokio::time::timeout;

use super::super::dial::addresses::LookUps;
use super::super::dial::attempt::Entered;
use super::super::dial::fault::Fault;
use super::super::link::Terms;
use crate::address::{Address, Protocol, There};
use crate::diagnosis::tunnel::{Beyond, Control, Fate, LetIn, Listen, Offer, Reached};
use crate::plan::Tunnel;
use crate::probe::sockets;
use crate::transport::tunnel::carrier::{FrameLink, Received};
use crate::transport::tunnel::message::{
    self, DialIs, DialTo, Gathered, Hello, MAX_DIALS, MAX_LONG, Message, RefusedCode, RouteIs, Routes,
    SameKey, WantedDial, WantedRoute,
};
use crate::units::shown;

/// How long the whole answer may take.
const ANSWER: Duration = Duration::from_secs(3);

/// The most characters that are shown of an address or a time that the other end says.
const MAX_WORD: usize = 60;

/// What is asked: as many routes as one question has room for.
pub(super) struct Question {
    routes: Vec<WantedRoute>,
    dials: Vec<WantedDial>,
    /// Addresses of those that it has no room for.
    unasked: usize,
}

impl Question {
    /// About these routes, and sessions to these.
    pub(super) fn about(terms: &Terms, offers: &[Offer], beyond: &[(There, Protocol)]) -> Question {
        let dial = |(to, protocol): &(There, Protocol)| WantedDial {
            to: match to {
                There::Service(name) => DialTo::Service(name.to_string()),
                There::Address(address) => DialTo::Address(address.to_string()),
            },
            protocol: *protocol,
        };
        let dials: Vec<_> = beyond.iter().take(MAX_DIALS).map(dial).collect();
        let is_asked = |it: &WantedRoute| offers.iter().any(|offer| offer.route == it.name);
        let wanted: Vec<_> = terms.offers().wanted().into_iter().filter(is_asked).collect();
        let Some(Message::Routes(Routes { routes, .. })) = message::routes(&wanted).into_iter().next() else {
            return Question { routes: Vec::new(), dials, unasked: 0 };
        };
        let unasked = wanted.iter().skip(routes.len()).map(|route| route.listen.len().max(1)).sum();
        Question { routes, dials, unasked }
    }

    /// As the first message of a connection.
    pub(super) fn hello(&self) -> Hello {
        Hello::Probe { routes: self.routes.clone(), dials: self.dials.clone() }
    }
}

/// What the answer says.
struct Answer {
    control: Option<SameKey>,
    /// Nothing of an end that does not know the question.
    dials: Vec<DialIs>,
    fates: Vec<RouteIs>,
}

/// Reads the answer of an end that has let the question in.
///
/// # Errors
/// It did not come whole.
pub(super) async fn let_in(
    mut entered: Entered,
    question: &Question,
    tunnel: &Tunnel,
) -> Result<LetIn, Fault> {
    let answer = timeout(ANSWER, read(&mut entered.link)).await.map_err(|_| Fault::Silent)??;
    let control = match answer.control {
        Some(said) => Some(Control {
            may_be_ours: may_be_ours(&entered, tunnel).await,
            from: shown(&said.from, MAX_WORD),
            since: shown(&said.since, MAX_WORD),
        }),
        None => None,
    };
    let name = Some(entered.welcome.name).filter(|name| !name.is_empty());
    Ok(LetIn {
        key: entered.key.to_string(),
        name: name.map(|name| shown(&name, MAX_WORD)),
        seen: shown(&entered.welcome.you, MAX_WORD),
        rtt: entered.rtt,
        control,
        listens: answer.fates.into_iter().filter(|it| question.has(it)).map(listen).collect(),
        beyond: one_of_two(question.dials.iter().map(|asked| beyond(tunnel, asked, &answer.dials)).collect()),
        unasked: question.unasked,
    })
}

async fn read(link: &mut FrameLink) -> Result<Answer, Fault> {
    let (mut control, mut dials) = (None, Vec::new());
    let mut fates = Gathered::<RouteIs>::default();
    loop {
        let Received::Message(json) = link.receive(MAX_LONG).await? else {
            return Err(Fault::Protocol("a frame in place of an answer".into()));
        };
        match message::decode(&json).map_err(|why| Fault::Protocol(why.to_string()))? {
            Message::SameKey(said) => control = Some(said),
            Message::DialsAre(said) => dials = said.dials,
            Message::RoutesAre(part) => {
                let whole = fates.add(part).map_err(|why| Fault::Protocol(why.to_string()))?;
                if let Some(fates) = whole {
                    return Ok(Answer { control, dials, fates });
                }
            }
            Message::Bye(bye) => return Err(Fault::Bye(bye)),
            _ => {}
        }
    }
}

impl Question {
    /// Whether an answer is to what was asked.
    fn has(&self, it: &RouteIs) -> bool {
        let route = self.routes.iter().find(|route| route.name == it.name);
        route.is_some_and(|route| it.asked.as_ref().is_none_or(|asked| route.listen.contains(asked)))
    }
}

fn beyond(tunnel: &Tunnel, asked: &WantedDial, answers: &[DialIs]) -> Beyond {
    let answer = answers.iter().find(|answer| answer.of == *asked);
    let (what, is_route) = match &asked.to {
        DialTo::Service(name) => (name, true),
        DialTo::Address(address) => (address, false),
    };
    let reached = match answer {
        None => Reached::Unasked,
        Some(DialIs { may: false, .. }) => Reached::Refused,
        Some(DialIs { cause: None, .. }) => Reached::May,
        Some(DialIs { cause: Some(cause), .. }) => Reached::Down(cause.clone()),
    };
    let to = format!("tunnel:{}/{what}", tunnel.name);
    Beyond { to, what: what.clone(), is_route, protocol: asked.protocol, reached }
}

/// Of what was asked for by both protocols, as nothing here says which is meant, only one that is not refused; the first, if
/// both are.
fn one_of_two(mut all: Vec<Beyond>) -> Vec<Beyond> {
    if let [tcp, udp] = &all[..]
        && tcp.what == udp.what
        && tcp.protocol != udp.protocol
    {
        let keeps_first = tcp.reached != Reached::Refused || udp.reached == Reached::Refused;
        all.remove(usize::from(keeps_first));
    }
    all
}

fn listen(it: RouteIs) -> Listen {
    let fate = match it.fate {
        message::Fate::Offered => Fate::Offered,
        message::Fate::Listening { address } => Fate::May(shown(&address, MAX_WORD)),
        message::Fate::Refused { code } => match code {
            RefusedCode::NotPermitted => Fate::NotPermitted,
            RefusedCode::TooMany => Fate::TooMany,
            RefusedCode::Taken => Fate::Held,
            RefusedCode::AddressNotHere => Fate::NotThere,
            RefusedCode::Privileged => Fate::Privileged,
            RefusedCode::OutOfResources => Fate::Other("it has no descriptors or memory left"),
            RefusedCode::Unsupported => Fate::Other("its version cannot listen like that"),
            RefusedCode::Other => Fate::Other("its log says more"),
        },
    };
    Listen { route: it.name, asked: it.asked, fate }
}

/// Whether this machine has a connection to the other end beside this one, so that the control there may be its own.
async fn may_be_ours(entered: &Entered, tunnel: &Tunnel) -> Option<bool> {
    let own: Option<SocketAddr> = getsockname(&entered.link).ok().and_then(|it| it.try_into().ok());
    let mut ends = vec![entered.peer];
    for target in &tunnel.connect {
        let found = LookUps::default().addresses(target).await.unwrap_or_default();
        ends.extend(found.into_iter().filter_map(|address| match address {
            Address::Net(address) => Some(address),
            _ => None,
        }));
    }
    let plain = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
    ends.iter_mut().for_each(|it| *it = plain(*it));
    let mut ports: Vec<u16> = ends.iter().map(SocketAddr::port).collect();
    ports.dedup();
    for port in ports {
        let (rows, _) = sockets::towards_port(port).ok()?;
        let is_one = |row: &sockets::Socket| {
            // What is closed may have been of anybody who had the port before.
            let is_open = row.state == sockets::TcpState::Established;
            is_open && ends.contains(&plain(row.remote)) && Some(plain(row.local)) != own.map(plain)
        };
        if rows.iter().any(is_one) {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(protocol: Protocol, reached: Reached) -> Beyond {
        Beyond { to: "tunnel:vps/game".into(), what: "game".into(), is_route: true, protocol, reached }
    }

    #[test]
    fn of_both_protocols_the_one_counts_that_is_not_refused() {
        let of = |tcp: Reached, udp: Reached| {
            let left = one_of_two(vec![asked(Protocol::Tcp, tcp), asked(Protocol::Udp, udp)]);
            assert_eq!(left.len(), 1);
            left[0].protocol
        };

        assert_eq!(of(Reached::Refused, Reached::May), Protocol::Udp);
        assert_eq!(of(Reached::May, Reached::Refused), Protocol::Tcp);
        assert_eq!(of(Reached::Refused, Reached::Refused), Protocol::Tcp);
        assert_eq!(one_of_two(vec![asked(Protocol::Udp, Reached::May)]).len(), 1);
    }
}
