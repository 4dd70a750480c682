//! What this end logs of what the other end wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::task::spawn_blocking;

use super::dialled;
use crate::acl::Permits;
use crate::address::{ListenAddress, NetListen, Protocol, Run, TargetAddress, TunnelName};
use crate::engine::{self, BindFailure, Owner};
use crate::transport::tunnel::message::{Fate, RefusedCode, RouteIs};
use crate::units::shown;

/// The most failures that are explained at one time: the sockets of the whole machine are read for them.
const MAX_EXPLAINED: usize = 16;

/// Why addresses could not be had.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    failures: Vec<BindFailure>,
    known: Explained,
}

/// The reason, by route and address.
type Explained = BTreeMap<(String, ListenAddress), String>;

impl Reasons {
    /// The system refused it.
    pub(super) fn fail(&mut self, failure: BindFailure) {
        if self.failures.len() < MAX_EXPLAINED {
            self.failures.push(failure);
        }
    }

    /// Another route or service of this program has it.
    pub(super) fn conflict(&mut self, route: &str, address: ListenAddress, held_by: &Owner) {
        self.known.insert((route.to_owned(), address), format!("it belongs to {held_by}"));
    }

    /// What is written here goes before what others ask for.
    pub(super) fn yielded(&mut self, route: &str, address: ListenAddress) {
        self.known
            .insert((route.to_owned(), address), "this machine's own configuration needs it".to_owned());
    }

    /// In words. Who holds a port is read from /proc, on a thread of its own.
    pub(super) async fn explained(self) -> Explained {
        let Reasons { failures, mut known } = self;
        if failures.is_empty() {
            return known;
        }
        let explain = move || {
            let diagnoses = engine::diagnose(&failures, &|_, _| None);
            let named = failures.into_iter().zip(diagnoses).filter_map(|(failure, diagnosis)| {
                Some(((failure.owner.route()?.name.to_string(), failure.address), diagnosis.summary))
            });
            named.collect::<Explained>()
        };
        // A panic of it costs the reason.
        known.extend(spawn_blocking(explain).await.unwrap_or_default());
        known
    }
}

/// `may_listen` with all that it lacks: what is written, and each address that was refused. A key stands once in a table, so
/// the line takes the place of the one that is there.
pub(super) fn may_listen(
    written: &Permits,
    fates: &[RouteIs],
    protocol: impl Fn(&str) -> Protocol,
) -> String {
    let mut entries: Vec<String> = written.entries().iter().map(ToString::to_string).collect();
    for it in fates {
        let is_missing = matches!(it.fate, Fate::Refused { code: RefusedCode::NotPermitted });
        let asked = it.asked.as_deref().filter(|_| is_missing);
        let asked = asked.map(|asked| format!("{}{}", shown(asked, 100), suffix(protocol(&it.name))));
        entries.extend(asked.filter(|asked| !entries.contains(asked)));
    }
    let quoted: Vec<_> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
    format!("may_listen = [{}]", quoted.join(", "))
}

/// What stands behind an address of this protocol.
fn suffix(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    }
}

/// Logs what became of an address of a route of this protocol. `may_listen` is the line that permits it.
pub(super) fn log(
    tunnel: &TunnelName,
    it: &RouteIs,
    protocol: Protocol,
    reasons: &Explained,
    may_listen: &str,
) {
    let (route, udp) = (shown(&it.name, 64), suffix(protocol));
    let asked = it.asked.as_deref().map(|asked| format!("{}{udp}", shown(asked, 100))).unwrap_or_default();
    match &it.fate {
        Fate::Offered => tracing::debug!("tunnel={tunnel} offers {route}"),
        Fate::Listening { address } => {
            tracing::info!("Forwarding {address}{udp} -> tunnel:{tunnel}/{route} (route {route}@{tunnel})");
        }
        Fate::Refused { code: RefusedCode::NotPermitted } => tracing::warn!(
            "tunnel={tunnel} may not listen on {asked} (route {route}). To let it, write in [tunnels.{tunnel}]: {may_listen}"
        ),
        Fate::Refused { code } => {
            let why = reason(it, reasons).unwrap_or_else(|| words(*code).to_owned());
            tracing::warn!("route {route}@{tunnel} does NOT listen on {asked}: {why}{}", again(*code));
        }
    }
}

/// The addresses that the other end may not have us dial: each is told once, and not too many.
#[derive(Debug, Default)]
pub(super) struct RefusedDials(Mutex<BTreeSet<String>>);

/// The most of them that are told, ever: the other end chooses them.
const MAX_REFUSED: usize = 64;

impl RefusedDials {
    /// Tells it, with the line that permits it.
    pub(super) fn tell(
        &self,
        tunnel: &TunnelName,
        address: &TargetAddress,
        protocol: Protocol,
        written: &Permits,
    ) {
        if let Some(line) = self.line(tunnel, address, protocol, written) {
            tracing::warn!("tunnel" = %tunnel, "{line}");
        }
    }

    fn line(
        &self,
        tunnel: &TunnelName,
        address: &TargetAddress,
        protocol: Protocol,
        written: &Permits,
    ) -> Option<String> {
        let address = dialled::name(address, protocol).to_string();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_REFUSED || !told.insert(address.clone()) {
            return None;
        }
        let entries = written.entries().iter().map(ToString::to_string).chain([address.clone()]);
        let quoted: Vec<_> = entries.map(|entry| format!("\"{}\"", shown(&entry, 300))).collect();
        let all = quoted.join(", ");
        Some(format!(
            "tunnel={tunnel} may not dial {}. To let it, write in [tunnels.{tunnel}]: may_dial = [{all}]",
            shown(&address, 300)
        ))
    }
}

/// The reason for one of the addresses that were tried for what was asked.
fn reason(it: &RouteIs, reasons: &Explained) -> Option<String> {
    let run = it.asked.as_deref()?.parse::<Run<ListenAddress>>().ok()?;
    let is_tried = |address: &ListenAddress| match (run.first(), address) {
        (ListenAddress::Net(NetListen { ip, port: 0, .. }), ListenAddress::Net(tried)) => *ip == tried.ip,
        _ => run.each().any(|wanted| wanted == *address),
    };
    let found = reasons.iter().find(|((route, address), _)| *route == it.name && is_tried(address));
    found.map(|(_, reason)| reason.clone())
}

fn words(code: RefusedCode) -> &'static str {
    match code {
        RefusedCode::NotPermitted => "it is not permitted",
        RefusedCode::Taken => "the port is taken",
        RefusedCode::AddressNotHere => "this machine does not have the address",
        RefusedCode::Privileged => "the system forbids it: ports below 1024 need a privilege",
        RefusedCode::OutOfResources => "descriptors or memory are used up",
        RefusedCode::TooMany => "the tunnel has as many listeners as max_listeners allows",
        RefusedCode::Unsupported => "this version cannot do that",
        RefusedCode::Other => "the system refused it",
    }
}

/// Whether it is tried again without a change of the configuration.
fn again(code: RefusedCode) -> &'static str {
    match code {
        RefusedCode::NotPermitted | RefusedCode::TooMany | RefusedCode::Unsupported => "",
        RefusedCode::Taken
        | RefusedCode::AddressNotHere
        | RefusedCode::Privileged
        | RefusedCode::OutOfResources
        | RefusedCode::Other => "; tried again every 10 s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::May;

    #[test]
    fn what_may_not_be_dialled_is_told_once_and_not_without_end() {
        let (refused, laptop) = (RefusedDials::default(), "laptop".parse().unwrap());
        let written: Permits = ["10.0.0.0/8:5432".parse::<May>().unwrap()].into_iter().collect();
        let line = |port: u16| {
            let address = format!("127.0.0.1:{port}").parse::<Run<TargetAddress>>().unwrap();
            refused.line(&laptop, address.first(), Protocol::Tcp, &written)
        };

        assert_eq!(
            line(5433).as_deref(),
            Some(
                "tunnel=laptop may not dial 127.0.0.1:5433. To let it, write in [tunnels.laptop]: may_dial = \
                 [\"10.0.0.0/8:5432\", \"127.0.0.1:5433\"]"
            )
        );
        let udp = "10.0.0.53:53".parse::<Run<TargetAddress>>().unwrap();
        let line_of_udp = refused.line(&laptop, udp.first(), Protocol::Udp, &written).unwrap();
        assert!(
            line_of_udp.ends_with("may_dial = [\"10.0.0.0/8:5432\", \"10.0.0.53:53/udp\"]"),
            "{line_of_udp}"
        );
        assert_eq!(line(5433), None);
        assert_eq!((1..1000).filter_map(line).count(), MAX_REFUSED - 2);
    }

    #[test]
    fn the_line_that_permits_has_what_is_written_and_all_that_was_refused_each_once() {
        let is = |asked: &str, code| RouteIs {
            name: "web".into(),
            asked: Some(asked.into()),
            fate: Fate::Refused { code },
        };
        let fates = [
            is("127.0.0.1:8082", RefusedCode::NotPermitted),
            is("0.0.0.0:9", RefusedCode::Taken),
            is("0.0.0.0:443", RefusedCode::NotPermitted),
            is("127.0.0.1:8082", RefusedCode::NotPermitted),
        ];
        let written: Permits = ["0.0.0.0:8080".parse::<May>().unwrap()].into_iter().collect();

        assert_eq!(
            may_listen(&written, &fates, |_| Protocol::Tcp),
            "may_listen = [\"0.0.0.0:8080\", \"127.0.0.1:8082\", \"0.0.0.0:443\"]"
        );
        assert_eq!(
            may_listen(&Permits::default(), &fates[2..3], |_| Protocol::Tcp),
            "may_listen = [\"0.0.0.0:443\"]"
        );
        assert_eq!(
            may_listen(&written, &fates[..1], |_| Protocol::Udp),
            "may_listen = [\"0.0.0.0:8080\", \"127.0.0.1:8082/udp\"]"
        );
    }
}
