//! An address at the other end of a tunnel: `tunnel:NAME`, `tunnel:NAME/SERVICE` and `tunnel:NAME/ADDRESS`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{ListenAddress, Run, TargetAddress};
use crate::units::{Misread, quoted};

/// What such an address begins with.
const PREFIX: &str = "tunnel:";

/// The most bytes of a tunnel's name, and of a service's.
const MAX_NAME: usize = 64;

/// The most bytes of an address that is dialled at the other end: what asks for it has one byte for the length.
const MAX_ADDRESS: usize = 255;

/// The name of a tunnel, as `[tunnels.NAME]` gives it: a link to one other Loopgate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TunnelName(Arc<str>);

impl TunnelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TunnelName {
    type Err = Misread;

    /// Reads 1 to 64 letters, digits, `-`, `_` or `.`, at least one of them a letter: `tunnel:8080` is a port of a host
    /// called tunnel.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if !is_plain(text) {
            let what = format!("{} cannot name a tunnel", quoted(text));
            return Err(Misread::new(
                what,
                format!("write 1 to {MAX_NAME} letters, digits, '-', '_' or '.'"),
            ));
        }
        if !text.chars().any(char::is_alphabetic) {
            let what = format!("the name of a tunnel has a letter in it, and {} has none", quoted(text));
            return Err(Misread::new(what, format!("write \"vps{text}\", say")));
        }
        Ok(TunnelName(text.into()))
    }
}

impl fmt::Display for TunnelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(is_plain)
}

/// Where a route listens at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenThere {
    /// The tunnel.
    pub tunnel: TunnelName,
    /// The address to listen on there, whose port may be 0 or a range: one free port of them is taken. `None` offers the
    /// route there by its name alone.
    pub at: Option<Box<Run<ListenAddress>>>,
}

/// A target at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetThere {
    /// The tunnel.
    pub tunnel: TunnelName,
    /// What is meant there.
    pub to: There,
}

/// What a target at the other end of a tunnel is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum There {
    /// A route of the other end that listens in the tunnel, by its name.
    Service(Arc<str>),
    /// An address, dialled from there.
    Address(Box<TargetAddress>),
}

impl There {
    /// A service of this name: that of a route, 1 to 64 bytes of letters, digits, `-`, `_` or `.`. Digits alone are a name
    /// here, where nothing else is meant; `None` for any other text.
    pub fn service(name: &str) -> Option<There> {
        is_plain(name).then(|| There::Service(name.into()))
    }
}

impl ListenThere {
    /// Reads `tunnel:NAME` or `tunnel:NAME/ADDRESS`; `None` if the text is of another kind, as `tunnel:8080`, the port of
    /// a host.
    pub(super) fn read(text: &str) -> Option<Result<ListenThere, Misread>> {
        let (name, rest) = split(text)?;
        Some(name.parse().and_then(|tunnel| {
            let at = rest.map(|rest| match rest.starts_with(PREFIX) {
                true => Err(nested()),
                false => rest.parse().map(Box::new),
            });
            Ok(ListenThere { tunnel, at: at.transpose()? })
        }))
    }
}

impl TargetThere {
    /// Reads `tunnel:NAME/SERVICE` or `tunnel:NAME/ADDRESS`; `None` if the text is of another kind.
    pub(super) fn read(text: &str) -> Option<Result<TargetThere, Misread>> {
        let (name, rest) = split(text)?;
        Some(name.parse().and_then(|tunnel| Ok(TargetThere { tunnel, to: there(name, rest)? })))
    }
}

/// The tunnel's name, and what follows the slash behind it.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let rest = text.strip_prefix(PREFIX)?;
    let (name, there) = rest.split_once('/').map_or((rest, None), |(name, there)| (name, Some(there)));
    // The port of a host called tunnel.
    let is_port = there.is_none() && name.chars().all(|c| c.is_ascii_digit() || c == '-');
    (!is_port).then_some((name, there))
}

fn there(tunnel: &str, rest: Option<&str>) -> Result<There, Misread> {
    let Some(rest) = rest else {
        let what = format!("\"tunnel:{tunnel}\" names no target");
        return Err(Misread::new(
            what,
            format!("write \"tunnel:{tunnel}/NAME\", with the name of a route there"),
        ));
    };
    if rest.starts_with(PREFIX) {
        return Err(nested());
    }
    if is_plain(rest) && rest.chars().any(|c| !c.is_ascii_digit()) {
        return Ok(There::Service(rest.into()));
    }
    let run: Run<TargetAddress> = rest.parse()?;
    if run.first().to_string().len() > MAX_ADDRESS {
        let what = format!("{} is too long for a tunnel", quoted(rest));
        return Err(Misread::new(what, "write a shorter name, or the name of a route there"));
    }
    match run.count() {
        1 => Ok(There::Address(Box::new(run.first().clone()))),
        _ => Err(Misread::new("a range of ports is no target in a tunnel", "write one target for each port")),
    }
}

fn nested() -> Misread {
    Misread::new("a tunnel within a tunnel is no address", "have the other end listen in its own tunnel")
}

impl fmt::Display for ListenThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.tunnel)?;
        self.at.as_ref().map_or(Ok(()), |at| write!(f, "/{at}"))
    }
}

impl fmt::Display for TargetThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.tunnel, self.to)
    }
}

impl fmt::Display for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            There::Service(name) => f.write_str(name),
            There::Address(address) => address.fmt(f),
        }
    }
}
