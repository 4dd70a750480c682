//! One line per session. The reference documents the fields and codes; they never change meaning.

use std::sync::Arc;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::live::Live;
use super::notes::Notes;
use super::tunnelled::TunnelCarrier;
use crate::address::{Address, TunnelName};
use crate::outcome::{
    Agreed, Attempt, Cause, Client, Datagrams, Drops, End, Limit, Outcome, SessionId, Sides,
};

/// A session that has ended, ready to be written.
#[derive(Clone, Debug)]
pub struct Record {
    /// The route it began with.
    pub route: Arc<str>,
    /// What the route dials, as written.
    pub target: Arc<str>,
    /// Who connected, or the client behind it, if the route trusts that proxy's header.
    pub client: Client,
    /// The proxy that connected and named the client.
    pub via: Option<Client>,
    /// The session's id. If its client came by a tunnel, the other end's record has the same.
    pub id: SessionId,
    /// The tunnel by which the client came, else the one that the target is in.
    pub tunnel: Option<TunnelName>,
    /// The connection of the tunnel that carried it to its target.
    pub carrier: Option<Box<TunnelCarrier>>,
    /// Whether the other end of the tunnel has said why the target was not reached.
    pub far: bool,
    /// The server name that the client requests, if a ClientHello was read and has one. As it was sent, in lower case:
    /// a text to be shown must escape it, as this record's own forms do.
    pub name: Option<Arc<str>>,
    /// What was negotiated with the client, if we terminated TLS.
    pub client_tls: Option<Box<Agreed>>,
    /// What was negotiated with the target.
    pub target_tls: Option<Box<Agreed>>,
    /// Which sides have closed a TLS connection without close_notify: what they sent may have been cut.
    pub no_close_notify: Option<Sides>,
    /// The limit that would have kept the client out, on a route with `limits_dry_run`.
    pub dry_run: Option<Limit>,
    /// How it ended.
    pub outcome: Outcome,
    /// The number of sessions this line stands for; more than one only for folded refusals.
    pub count: u64,
}

/// Ends with the id of the verdict that a diagnosis of the same would have.
const RECEIVER_DROPS: &str = "the target reads more slowly than datagrams come: give its socket a larger receive buffer \
    (SO_RCVBUF, net.core.rmem_max) [udp-receiver-drops]";

/// What is to be done is to be done there.
const FAR: &str = "so says the other end of the tunnel: its record of the same id, and its log, say more";

impl Record {
    pub(super) fn new(live: &Live, outcome: Outcome, noted: Notes) -> Record {
        let (route, target) = (live.route.clone(), live.target().clone());
        let (client, via) = noted.behind.map_or((live.client, None), |client| (client, Some(live.client)));
        let Notes { name, client_tls, target_tls, dry_run, carrier, far, .. } = noted;
        let no_close_notify = live.meter.cut();
        Record {
            route,
            target,
            client,
            via,
            id: live.session_id(),
            tunnel: live.tunnel().cloned(),
            carrier,
            far,
            name,
            client_tls,
            target_tls,
            no_close_notify,
            dry_run,
            outcome,
            count: 1,
        }
    }

    /// The result of a diagnosis if there was one by then, else the remedy of the cause.
    pub fn hint(&self) -> Option<&str> {
        let datagrams = self.outcome.datagrams.as_ref();
        match (&self.outcome.hint, self.outcome.end) {
            (Some(found), _) => Some(found),
            // The other end has no record of what it does not offer.
            (None, End::NoTarget(cause)) if self.far && cause != Cause::TunnelRefused => Some(FAR),
            (None, End::NoTarget(cause)) => Some(cause.remedy()),
            (None, End::Denied(denial)) => Some(denial.hint()),
            (None, End::Limited(limit)) => Some(limit.hint()),
            _ if datagrams.is_some_and(|datagrams| datagrams.target_dropped > 0) => Some(RECEIVER_DROPS),
            _ => None,
        }
    }
}

/// The fields of the text form, and those only programs use.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let o = &self.outcome;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("route", &*self.route)?;
        self.serialize_client(&mut map)?;
        match &o.target {
            Some(address) => map.serialize_entry("target", &Printed(address))?,
            None => map.serialize_entry("target", &*self.target)?,
        }
        map.serialize_entry("end", o.end.code())?;
        // The end of a flow is not visible on the wire.
        map.serialize_entry("how", if o.datagrams.is_some() { "none" } else { o.end.how() })?;
        if let End::NoTarget(cause) = o.end {
            map.serialize_entry("cause", cause.code())?;
            if self.far {
                map.serialize_entry("far", &true)?;
            }
        }
        map.serialize_entry("phase", o.phase.code())?;
        map.serialize_entry("closed_by", &o.closed_by.map(|side| side.code()))?;
        if let Some(sides) = self.no_close_notify {
            map.serialize_entry("no_close_notify", sides.code())?;
        }
        if let Some(limit) = self.dry_run {
            map.serialize_entry("dry_run", limit.key())?;
        }
        map.serialize_entry("up", &o.traffic.up.delivered)?;
        map.serialize_entry("down", &o.traffic.down.delivered)?;
        map.serialize_entry("up_read", &o.traffic.up.read)?;
        map.serialize_entry("down_read", &o.traffic.down.read)?;
        map.serialize_entry("way", o.way.code())?;
        map.serialize_entry("connect_us", &o.timing.connect.map(micros))?;
        map.serialize_entry("first_byte_us", &o.timing.first_byte.map(micros))?;
        map.serialize_entry("total_us", &micros(o.timing.total))?;
        if let Some(kernel) = o.kernel {
            map.serialize_entry("client_rtt_us", &kernel.client_rtt_us)?;
            map.serialize_entry("target_rtt_us", &kernel.target_rtt_us)?;
            map.serialize_entry("client_retransmits", &kernel.client_retransmits)?;
            map.serialize_entry("target_retransmits", &kernel.target_retransmits)?;
        }
        if let Some(datagrams) = &o.datagrams {
            serialize_datagrams(&mut map, datagrams)?;
        }
        for (key, agreed) in [("client_tls", &self.client_tls), ("target_tls", &self.target_tls)] {
            if let Some(agreed) = agreed {
                map.serialize_entry(key, &Tls(agreed))?;
            }
        }
        map.serialize_entry("attempts", &o.attempts.iter().map(Dialled).collect::<Vec<_>>())?;
        map.serialize_entry("count", &self.count)?;
        map.serialize_entry("id", &Letters(self.id))?;
        if let Some(hint) = self.hint() {
            map.serialize_entry("hint", hint)?;
        }
        map.end()
    }
}

impl Record {
    /// Who connected, and by what.
    fn serialize_client<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("client", &self.client)?;
        if let Some(via) = self.via {
            map.serialize_entry("via", &via)?;
        }
        if let Some(tunnel) = &self.tunnel {
            map.serialize_entry("tunnel", tunnel.as_str())?;
        }
        if let Some(carrier) = &self.carrier {
            map.serialize_entry("tunnel_carrier", &**carrier)?;
        }
        match &self.name {
            Some(name) => map.serialize_entry("name", &**name),
            None => Ok(()),
        }
    }
}

fn serialize_datagrams<M: SerializeMap>(map: &mut M, datagrams: &Datagrams) -> Result<(), M::Error> {
    map.serialize_entry("up_datagrams", &datagrams.up)?;
    map.serialize_entry("down_datagrams", &datagrams.down)?;
    map.serialize_entry("up_dropped", &Dropped(&datagrams.up_dropped))?;
    map.serialize_entry("down_dropped", &Dropped(&datagrams.down_dropped))?;
    map.serialize_entry("target_dropped", &datagrams.target_dropped)
}

/// An id as in the text form.
struct Letters(SessionId);

impl Serialize for Letters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An address as in the text form.
struct Printed<'a>(&'a Address);

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// Each reason that occurred, with its count.
struct Dropped<'a>(&'a Drops);

impl Serialize for Dropped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.each().map(|(why, count)| (why.code(), count)))
    }
}

struct Tls<'a>(&'a Agreed);

impl Serialize for Tls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("version", &self.0.version)?;
        map.serialize_entry("cipher", &self.0.cipher)?;
        map.serialize_entry("group", &self.0.group)?;
        map.serialize_entry("alpn", &self.0.alpn.as_deref())?;
        map.serialize_entry("resumed", &self.0.resumed)?;
        map.end()
    }
}

struct Dialled<'a>(&'a Attempt);

impl Serialize for Dialled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("address", &Printed(&self.0.address))?;
        map.serialize_entry("us", &micros(self.0.took))?;
        map.serialize_entry("cause", &self.0.cause.map(|cause| cause.code()))?;
        map.end()
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
