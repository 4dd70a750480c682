//! One line per session. The reference documents the fields and codes; they never change meaning.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::live::Live;
use super::notes::Notes;
use crate::address::Address;
use crate::outcome::{Agreed, Attempt, Client, Datagrams, Drops, End, Limit, Outcome, Sides};
use crate::units::shown;

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

impl Record {
    pub(super) fn new(live: &Live, outcome: Outcome, noted: Notes) -> Record {
        let (route, target) = (live.route.clone(), live.target().clone());
        let (client, via) = noted.behind.map_or((live.client, None), |client| (client, Some(live.client)));
        let Notes { name, client_tls, target_tls, dry_run, .. } = noted;
        let no_close_notify = live.meter.cut();
        Record {
            route,
            target,
            client,
            via,
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
            (None, End::NoTarget(cause)) => Some(cause.remedy()),
            (None, End::Denied(denial)) => Some(denial.hint()),
            (None, End::Limited(limit)) => Some(limit.hint()),
            _ if datagrams.is_some_and(|datagrams| datagrams.target_dropped > 0) => Some(RECEIVER_DROPS),
            _ => None,
        }
    }
}

/// `key=value` pairs, one line, no line end.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.outcome;
        write!(f, "route={} client={}", self.route, self.client)?;
        pair(f, "via", self.via)?;
        pair(f, "name", self.name.as_deref().map(Word))?;
        f.write_str(" target=")?;
        match &o.target {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str(&self.target)?,
        }
        write!(f, " end={}", o.end.code())?;
        if let End::NoTarget(cause) = o.end {
            write!(f, " cause={cause}")?;
        }
        let (up, down) = (o.traffic.up, o.traffic.down);
        write!(
            f,
            " phase={} up={} down={} way={}",
            o.phase.code(),
            up.delivered,
            down.delivered,
            o.way.code()
        )?;
        pair(f, "connect", o.timing.connect.map(Millis))?;
        pair(f, "first_byte", o.timing.first_byte.map(Millis))?;
        pair(f, "total", Some(Millis(o.timing.total)))?;
        pair(f, "closed_by", o.closed_by.map(|side| side.code()))?;
        pair(f, "no_close_notify", self.no_close_notify.map(Sides::code))?;
        pair(f, "dry_run", self.dry_run.map(Limit::key))?;
        pair(f, "up_lost", Some(up.lost()).filter(|&bytes| bytes > 0))?;
        pair(f, "down_lost", Some(down.lost()).filter(|&bytes| bytes > 0))?;
        if let Some(datagrams) = &o.datagrams {
            write_datagrams(f, datagrams)?;
        }
        pair(f, "count", Some(self.count).filter(|&count| count > 1))?;
        match self.hint() {
            // A process may have any name; a quote in it must not end the hint.
            Some(hint) => write!(f, " hint=\"{}\"", shown(&hint.replace('"', "'"), usize::MAX)),
            None => Ok(()),
        }
    }
}

fn write_datagrams(f: &mut fmt::Formatter<'_>, datagrams: &Datagrams) -> fmt::Result {
    write!(f, " up_datagrams={} down_datagrams={}", datagrams.up, datagrams.down)?;
    for (side, drops) in [("up", &datagrams.up_dropped), ("down", &datagrams.down_dropped)] {
        for (n, (why, count)) in drops.each().enumerate() {
            let before = if n == 0 { format_args!(" {side}_dropped=") } else { format_args!(",") };
            write!(f, "{before}{}:{count}", why.code())?;
        }
    }
    pair(f, "target_dropped", Some(datagrams.target_dropped).filter(|&count| count > 0))
}

fn pair(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {key}={value}"),
        None => Ok(()),
    }
}

/// Text from outside: in quotes if it could be mistaken for another field.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')) {
            true if !self.0.is_empty() => f.write_str(self.0),
            // A backslash of the text's own is doubled, so that what is escaped can be told from it.
            _ => write!(f, "\"{}\"", shown(&self.0.replace('\\', r"\\").replace('"', "'"), usize::MAX)),
        }
    }
}

/// A duration in milliseconds with two or three significant figures.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1e3;
        match ms {
            _ if ms < 1.0 => write!(f, "{ms:.2}ms"),
            _ if ms < 10.0 => write!(f, "{ms:.1}ms"),
            _ => write!(f, "{ms:.0}ms"),
        }
    }
}

/// The fields of the text form, and those only programs use.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let o = &self.outcome;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("route", &*self.route)?;
        map.serialize_entry("client", &self.client)?;
        if let Some(via) = self.via {
            map.serialize_entry("via", &via)?;
        }
        if let Some(name) = &self.name {
            map.serialize_entry("name", &**name)?;
        }
        match &o.target {
            Some(address) => map.serialize_entry("target", &Printed(address))?,
            None => map.serialize_entry("target", &*self.target)?,
        }
        map.serialize_entry("end", o.end.code())?;
        // The end of a flow is not visible on the wire.
        map.serialize_entry("how", if o.datagrams.is_some() { "none" } else { o.end.how() })?;
        if let End::NoTarget(cause) = o.end {
            map.serialize_entry("cause", cause.code())?;
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
        if let Some(hint) = self.hint() {
            map.serialize_entry("hint", hint)?;
        }
        map.end()
    }
}

fn serialize_datagrams<M: SerializeMap>(map: &mut M, datagrams: &Datagrams) -> Result<(), M::Error> {
    map.serialize_entry("up_datagrams", &datagrams.up)?;
    map.serialize_entry("down_datagrams", &datagrams.down)?;
    map.serialize_entry("up_dropped", &Dropped(&datagrams.up_dropped))?;
    map.serialize_entry("down_dropped", &Dropped(&datagrams.down_dropped))?;
    map.serialize_entry("target_dropped", &datagrams.target_dropped)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_word_cannot_pass_for_another_field() {
        for (word, text) in [
            ("a.example", "a.example"),
            ("a end=done", "\"a end=done\""),
            ("x=\"y", "\"x='y\""),
            ("a\\nb", r#""a\\nb""#),
            ("a\nb", r#""a\nb""#),
            ("\x1b[31m\u{202e}", r#""\u{1b}[31m\u{202e}""#),
        ] {
            assert_eq!(Word(word).to_string(), text);
        }
    }
}
