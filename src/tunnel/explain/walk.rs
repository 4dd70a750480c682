//! The way to the other end, address by address: name, TCP, TLS, its key, ours.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::net::getpeername;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::super::dial::addresses::LookUps;
use super::super::dial::attempt::enter;
use super::super::dial::fault::Fault;
use super::super::dial::proxy_fault::{ProxyFault, Why};
use super::super::dial::way::{Way, host};
use super::super::link::Terms;
use super::ask::{self, Question};
use super::second_look::{Place, behind, of_certificate, of_words};
use crate::address::{Address, Host, Protocol, TargetAddress};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::tunnel::{Try, TryEnd};
use crate::diagnosis::{Diagnosis, Severity};
use crate::outcome::Cause;
use crate::probe::trace::protocol::Protocol as Spoken;
use crate::transport::Stream;
use crate::transport::tunnel::identity::{Dialling, HandshakeFault};
use crate::transport::tunnel::message::{Bye, ByeCode};

/// How long an end that has no time for a question now is given.
const AGAIN: Duration = Duration::from_millis(1100);

/// How long the diagnosis of a way waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries the addresses in order, up to the one that lets this machine in.
pub(super) fn tries(terms: &Terms, question: &Question, runtime: &Runtime) -> Vec<Try> {
    let mut tries = Vec::new();
    for target in &terms.tunnel.connect {
        let way = Way::to(target, &terms.tunnel.proxy);
        let it = Walk { terms, target, way, question, runtime }.walk();
        let is_in = matches!(it.end, TryEnd::LetIn(_));
        tries.push(it);
        if is_in {
            break;
        }
    }
    tries
}

struct Walk<'w> {
    terms: &'w Terms,
    target: &'w TargetAddress,
    way: Way,
    question: &'w Question,
    runtime: &'w Runtime,
}

impl Walk<'_> {
    fn walk(&self) -> Try {
        let to = self.target.to_string();
        let begun = Instant::now();
        let found = self.runtime.block_on(self.way.addresses(&mut LookUps::default()));
        let is_name = matches!(self.dialled().net(), Some((Host::Name(_), _)));
        let resolved = is_name.then(|| (net(found.as_deref().unwrap_or_default()), begun.elapsed()));
        let mut it = Try { to, resolved, connected: None, end: TryEnd::Closed };
        let Ok(addresses) = found else {
            it.end = TryEnd::Unreached(Box::new(self.reach()));
            return it;
        };
        let (stream, peer) = match self.connected(&addresses) {
            Ok((stream, peer, took)) => {
                it.connected = Some((peer, took));
                (stream, peer)
            }
            Err(end) => {
                it.end = end;
                return it;
            }
        };
        it.end = self.entered(stream, peer);
        it
    }

    /// Connects. What fails is diagnosed as any other target; what answers then is tried once more.
    fn connected(&self, addresses: &[Address]) -> Result<(Stream, SocketAddr, Duration), TryEnd> {
        let connect = || {
            self.runtime.block_on(async {
                let begun = Instant::now();
                let stream = self.way.connect(addresses, self.terms.tunnel.congestion()).await?;
                let peer = getpeername(&stream).ok().flatten().and_then(|peer| peer.try_into().ok());
                Ok((stream, peer.ok_or(Fault::Unreached(Cause::Reset))?, begun.elapsed()))
            })
        };
        match connect() {
            Ok(connected) => return Ok(connected),
            Err(Fault::Proxy(fault)) if !matches!(fault.why, Why::Unreached(_)) => {
                return Err(of_proxy(&fault));
            }
            Err(_) => {}
        }
        let found = self.reach();
        if found.severity() >= Severity::Unclear {
            return Err(TryEnd::Unreached(Box::new(found)));
        }
        connect().map_err(|_| TryEnd::Other("it answers only now and then".to_owned()))
    }

    /// What this machine connects to.
    fn dialled(&self) -> &TargetAddress {
        match &self.way {
            Way::Direct(target) => target,
            Way::Proxied(proxied) => proxied.proxy(),
        }
    }

    fn reach(&self) -> Diagnosis {
        let expect = matches!(self.way, Way::Direct(_)).then_some(Spoken::Tls);
        let options = Options { expect, timeout: PATIENCE, ..Options::default() };
        reach::reach_target(self.dialled(), Protocol::Tcp, options)
    }

    fn entered(&self, stream: Stream, peer: SocketAddr) -> TryEnd {
        match self.ask(stream) {
            // Others ask with this key, too.
            Err(Fault::Bye(Bye { code: ByeCode::Overload, .. })) => {
                let again = self.runtime.block_on(async {
                    sleep(AGAIN).await;
                    self.way.connect(&[Address::Net(peer)], self.terms.tunnel.congestion()).await
                });
                again.and_then(|stream| self.ask(stream)).unwrap_or_else(|fault| self.ended(fault, peer))
            }
            Err(fault) => self.ended(fault, peer),
            Ok(end) => end,
        }
    }

    fn ask(&self, stream: Stream) -> Result<TryEnd, Fault> {
        let tunnel = &self.terms.tunnel;
        let tls = Dialling::new(&tunnel.private_key, &tunnel.public_keys);
        self.runtime.block_on(async {
            let entered = enter(stream, &tls, &host(self.target), self.question.hello()).await?;
            ask::let_in(entered, self.question, &self.terms.tunnel)
                .await
                .map(|it| TryEnd::LetIn(Box::new(it)))
        })
    }

    /// What a fault means, after a second look where it could mean several things.
    fn ended(&self, fault: Fault, peer: SocketAddr) -> TryEnd {
        let host = host(self.target);
        let place = Place { way: &self.way, peer, announces: false, host: &host, runtime: self.runtime };
        match fault {
            Fault::Handshake(fault) => self.handshake(fault, &place),
            Fault::Bye(bye) => of_bye(&bye),
            Fault::Proxy(fault) => of_proxy(&fault),
            Fault::Unshaken | Fault::Silent => {
                let found = self.reach();
                let is_known = found.severity() >= Severity::Unclear;
                TryEnd::Silent(is_known.then(|| Box::new(found)))
            }
            fault => TryEnd::Other(fault.to_string()),
        }
    }

    fn handshake(&self, fault: HandshakeFault, place: &Place<'_>) -> TryEnd {
        let tunnel = &self.terms.tunnel;
        match fault {
            HandshakeFault::UnknownThere => TryEnd::UnknownThere,
            HandshakeFault::WrongKey(key) => TryEnd::WrongKey(key.to_string()),
            HandshakeFault::NotTls(first) => {
                of_words(place).unwrap_or(TryEnd::NotTls { protocol: None, words: first })
            }
            HandshakeFault::NotLoopgate => TryEnd::NoKey(of_certificate(place)),
            HandshakeFault::Version => match of_certificate(place) {
                Some(shown) => TryEnd::NoKey(Some(shown)),
                None => {
                    let key = behind(place, &tunnel.private_key);
                    TryEnd::Version { has_key: key.is_some_and(|key| tunnel.public_keys.contains(&key)) }
                }
            },
            HandshakeFault::Gone { .. } | HandshakeFault::Io(_) => of_words(place).unwrap_or(TryEnd::Closed),
            other => match of_certificate(place) {
                Some(shown) => TryEnd::NoKey(Some(shown)),
                None => TryEnd::Other(other.to_string()),
            },
        }
    }
}

/// What a proxy that is reached says, about itself or about the other end.
fn of_proxy(fault: &ProxyFault) -> TryEnd {
    match fault.about_target() {
        Some(_) => TryEnd::Other(fault.words()),
        None => TryEnd::ProxyRefused { words: fault.words(), status: fault.status() },
    }
}

fn of_bye(bye: &Bye) -> TryEnd {
    match bye.code {
        ByeCode::InUse => TryEnd::InUse(bye.shown()),
        // Between the handshake and the question the key was taken away.
        ByeCode::Revoked => TryEnd::UnknownThere,
        ByeCode::Version => TryEnd::Version { has_key: true },
        _ => TryEnd::Other(match bye.shown() {
            words if words.is_empty() => "it says goodbye".to_owned(),
            words => format!("it says: {words}"),
        }),
    }
}

fn net(addresses: &[Address]) -> Vec<SocketAddr> {
    let net = |address: &Address| match address {
        Address::Net(address) => Some(*address),
        _ => None,
    };
    addresses.iter().filter_map(net).collect()
}
