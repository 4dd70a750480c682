//! One route as written in the file or on the command line, with its places: not yet checked against the others.

use std::collections::HashSet;
use std::sync::Arc;

use super::merge::off_or;
use super::typed::Typed;
use super::{RouteName, hello};
use crate::address::{Families, ListenAddress, ListenThere, Numbered, Protocol, Run, TargetAddress};
use crate::config::{Settings, Written, WrittenRoute, WrittenTarget, bare_or_quoted};
use crate::transport::Destination;
use crate::transport::proxied::ProxyUrl;

/// A route with its places, not yet checked against the others.
pub(super) struct Draft {
    pub(super) name: RouteName,
    /// Its path in the file, for the problems of its keys; empty for a route of the command line.
    pub(super) path: String,
    pub(super) listen: Vec<Written<Run<ListenAddress>>>,
    /// Those of `target` first; empty if none could be read.
    pub(super) targets: Vec<WrittenTarget>,
    /// How a hello chooses among them; `None` if the route reads no hello.
    pub(super) hello: Option<hello::Draft>,
    pub(super) protocol: Protocol,
    /// Through which proxy its targets are dialled, except Unix sockets.
    pub(super) proxy: Option<ProxyUrl>,
    pub(super) settings: Settings,
}

impl Draft {
    /// Which address families its `[::]` accepts; `v6only` is the value of the defaults.
    pub(super) fn families(&self, v6only: bool) -> Families {
        match self.settings.v6only.as_ref().map_or(v6only, |written| written.value) {
            false if self.protocol == Protocol::Tcp => Families::Both,
            _ => Families::Own,
        }
    }

    /// How many listeners have their own targets, at least 1: the length of its ranges of targets.
    pub(super) fn places(&self) -> usize {
        self.targets.iter().map(|target| target.address.value.count()).max().unwrap_or(1)
    }

    /// Each list of targets from which a client's target is chosen.
    pub(super) fn lists(&self) -> Vec<&[WrittenTarget]> {
        match &self.hello {
            Some(hello) => hello.lists().map(|among| &self.targets[among]).collect(),
            None => vec![&self.targets],
        }
    }

    /// Whether none of its targets is dialled at an address: all are Unix sockets or in a tunnel.
    pub(super) fn dials_no_address(&self) -> bool {
        let has_none = |it: &WrittenTarget| it.address.value.first().net().is_none();
        !self.targets.is_empty() && self.targets.iter().all(has_none)
    }

    /// What is dialled for one of its targets: a Unix socket is always here, and a tunnel has its own way.
    pub(super) fn destination(&self, to: &TargetAddress) -> Destination {
        Destination::through(self.proxy.as_ref().filter(|_| to.net().is_some()), to.clone())
    }

    /// The path of one of its keys; empty for a route of the command line, which is identified by its place.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}.{key}", self.path) }
    }
}

/// Every route of the file, then these of the command line.
pub(super) fn drafts(routes: Vec<WrittenRoute>, typed: Vec<Typed>, defaults: &Settings) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = routes.into_iter().map(|route| from_file(route, defaults)).collect();
    from_command_line(typed, defaults, &mut drafts);
    drafts
}

fn from_file(route: WrittenRoute, defaults: &Settings) -> Draft {
    let path = format!("routes.{}", bare_or_quoted(&route.name));
    let WrittenRoute { name, listen, mut targets, hello, settings, .. } = route;
    let hello = hello::draft(hello, &mut targets);
    let protocol = settings.protocol.as_ref().or(defaults.protocol.as_ref());
    let protocol = protocol.map(|protocol| protocol.value).unwrap_or_default();
    let proxy = proxy(protocol, &settings, defaults);
    Draft { name: RouteName(name.into()), path, listen, targets, hello, protocol, proxy, settings }
}

/// The proxy of a route that carries connections.
fn proxy(protocol: Protocol, own: &Settings, defaults: &Settings) -> Option<ProxyUrl> {
    off_or(&own.proxy_url, &defaults.proxy_url).filter(|_| protocol == Protocol::Tcp)
}

fn from_command_line(typed: Vec<Typed>, defaults: &Settings, drafts: &mut Vec<Draft>) {
    let mut taken: HashSet<Arc<str>> = drafts.iter().map(|draft| draft.name.0.clone()).collect();
    for Typed { spec, place } in typed {
        let name = free_name(&taken, &spec.listen);
        taken.insert(name.clone());
        drafts.push(Draft {
            name: RouteName(name),
            path: String::new(),
            listen: vec![Written { value: spec.listen, place: place.clone() }],
            targets: vec![Written { value: spec.target, place }.into()],
            hello: None,
            protocol: spec.protocol,
            proxy: proxy(spec.protocol, &Settings::default(), defaults),
            settings: Settings::default(),
        });
    }
}

/// The name of a route of the command line. At the other end of a tunnel it is `vps-8080`, as it may be dialled by it there.
/// Elsewhere it is `8080`, or `127.0.0.1:8080` if that is taken; routes that share an address,
/// as port 0, are numbered. A route that listens on a Unix socket is called by the socket's whole name.
fn free_name(taken: &HashSet<Arc<str>>, listen: &Run<ListenAddress>) -> Arc<str> {
    let there = match listen.first() {
        ListenAddress::There(there) => Some(name_there(there)),
        ListenAddress::Net(_) | ListenAddress::Unix(_) => None,
    };
    let whole = there.unwrap_or_else(|| listen.to_string());
    let ports = whole.rsplit(':').next().filter(|_| listen.first().port().is_some());
    let numbered = (2..).map(|n: u32| format!("{whole}-{n}"));
    let mut names = ports.into_iter().chain([&*whole]).map(str::to_owned).chain(numbered);
    let free = names.find(|name| !taken.contains(name.as_str()));
    free.expect("there are more numbers than arguments").into()
}

/// The tunnel and the ports, in the letters that a name of a file has.
fn name_there(there: &ListenThere) -> String {
    let at = there.at.as_ref().filter(|at| at.first().port().is_some()).map(ToString::to_string);
    let ports = at.as_deref().and_then(|at| at.rsplit(':').next()).map(|ports| format!("-{ports}"));
    let name = format!("{}{}", there.tunnel, ports.unwrap_or_default());
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_the_command_line_can_be_dialled_by_its_name_at_the_other_end_of_a_tunnel() {
        let names = |listen: &[&str]| {
            let mut taken = HashSet::new();
            for text in listen {
                taken.insert(free_name(&taken, &text.parse().unwrap()));
            }
            let mut names: Vec<String> = taken.iter().map(|name| name.to_string()).collect();
            names.sort();
            names.join(" ")
        };

        assert_eq!(names(&["tunnel:vps/8080"]), "vps-8080");
        assert_eq!(names(&["tunnel:vps/0.0.0.0:8080", "tunnel:vps/[::]:8080"]), "vps-8080 vps-8080-2");
        assert_eq!(names(&["tunnel:a.b/unix:/x"]), "a-b");
        assert_eq!(names(&["8080", "127.0.0.1:8080"]), "127.0.0.1:8080 8080");
    }
}
