//! Routes as people from other programs write them on the command line, each answered with the route that was meant.

use super::part::{bare, is_number, is_ports};
use crate::units::{Misread, quoted};

/// What was meant by a text that is no route; `None` if it may be one, or is wrong in another way.
pub(super) fn meant(text: &str) -> Option<Misread> {
    if text.contains("://") || text.starts_with("unix:") {
        return None;
    }
    if super::tunnel::in_route(text).is_some() {
        return None;
    }
    listens_there(text).or_else(|| several(text)).or_else(|| behind_the_port(text)).or_else(|| {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["0", port, target] if is_number(port) => Some(zero(port, target)),
            [host, port] if is_host(host) && is_ports(port) => Some(one_end(host, port)),
            [port, host] if is_ports(port) && is_host(host) => Some(no_port(port, host)),
            [.., port, "tcp" | "udp"] if parts.len() > 2 && is_ports(port) => Some(colon(text)),
            _ => None,
        }
    })
}

/// `tunnel:vps/8080:3000`
fn listens_there(text: &str) -> Option<Misread> {
    let (tunnel, route) = text.strip_prefix(super::tunnel::PREFIX)?.split_once('/')?;
    let at = bare(route.rsplit_once(':').map_or(route, |(at, _)| at));
    let (tunnel, route) = (bare(tunnel), bare(route));
    Some(Misread::new(
        format!("{} listens at the other end of a tunnel", quoted(text)),
        format!("write -R {route} --tunnel {tunnel}, or listen = \"tunnel:{tunnel}/{at}\" in a file"),
    ))
}

/// `8080:3000,8081:3001`
fn several(text: &str) -> Option<Misread> {
    let all: Vec<&str> = text.split(',').collect();
    let is_route = |part: &&str| part.contains(':') && part.ends_with(|c: char| c.is_ascii_digit());
    (all.len() > 1 && all.iter().all(|part| is_route(&part.trim()))).then(|| {
        let apart = all.join(" ");
        Misread::new(format!("{} is more than one route", quoted(text)), format!("write {}", bare(&apart)))
    })
}

/// `8080:localhost:3000/api`, `8080:3000/UDP`, `8080:3000/sctp`
fn behind_the_port(text: &str) -> Option<Misread> {
    let (route, rest) = text.split_once('/')?;
    let port = route.rsplit(':').next()?;
    if !is_ports(port) || route.split(':').any(|part| part == "unix") {
        return None;
    }
    let route = bare(route);
    let instead = match rest.to_ascii_lowercase().as_str() {
        protocol @ ("udp" | "tcp") if protocol != rest => format!("write {route}/{protocol}"),
        "udp" | "tcp" => return None,
        "quic" | "udp4" | "udp6" => format!("write {route}/udp, which carries it"),
        "tcp4" | "tcp6" => format!("write {route}, with an address of that family as bind or host"),
        "sctp" | "dccp" => format!("only tcp and udp are carried: write {route} or {route}/udp"),
        _ => format!("write {route}: bytes are carried whatever they ask for"),
    };
    let rest = quoted(&format!("/{rest}"));
    Some(Misread::new(format!("{rest} cannot stand behind the port"), instead))
}

/// `0:8080:3000`
fn zero(port: &str, target: &str) -> Misread {
    let route = bare(&format!("{port}:{target}"));
    Misread::new(
        "0 is no address",
        format!("write 0.0.0.0:{route} for every address, {route} for this machine"),
    )
}

/// `localhost:8080`
fn one_end(host: &str, port: &str) -> Misread {
    let one = bare(&format!("{host}:{port}"));
    Misread::new(
        format!("{one} is one address, and a route has two"),
        format!("write 8080:{one} to forward port 8080 there, or {one}:3000 to listen there"),
    )
}

/// `8080:db`
fn no_port(port: &str, host: &str) -> Misread {
    let (port, host) = (bare(port), bare(host));
    Misread::new(
        format!("{host} is a host without a port"),
        format!("write {port}:{host}:3000, with the port of the service"),
    )
}

/// `8080:db:5432:tcp`
fn colon(text: &str) -> Misread {
    let written = text.rsplit_once(':').map(|(route, protocol)| format!("{route}/{protocol}"));
    let what = format!("{} has the protocol behind a colon", quoted(text));
    Misread::new(what, format!("write {}", bare(&written.unwrap_or_default())))
}

/// Whether a text may be a name or an IPv4 address.
fn is_host(text: &str) -> bool {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.contains(|c: char| c.is_ascii_alphabetic() || c == '.')
        && text.chars().all(is_of_host)
        && text != "unix"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Spec;

    #[test]
    fn what_people_type_first_is_answered_with_the_route_they_meant() {
        for (text, instead) in [
            ("8080:3000,8081:3001", "write 8080:3000 8081:3001"),
            ("8080:localhost:3000/", "write 8080:localhost:3000: "),
            ("8080:localhost:3000/api/v1", "write 8080:localhost:3000: "),
            ("8080:3000/UDP", "write 8080:3000/udp"),
            ("8080:3000/quic", "write 8080:3000/udp"),
            ("8080:3000/sctp", "only tcp and udp"),
            ("8080:127.0.0.1:3000/tcp6", "write 8080:127.0.0.1:3000, "),
            ("localhost:8080", "write 8080:localhost:8080 "),
            ("127.0.0.1:8080", "write 8080:127.0.0.1:8080 "),
            ("8080:db", "write 8080:db:3000"),
            ("0:8080:3000", "write 0.0.0.0:8080:3000 "),
            ("8080:db:5432:tcp", "write 8080:db:5432/tcp"),
        ] {
            let misread = text.parse::<Spec>().unwrap_err();
            assert!(misread.instead.starts_with(instead), "{text}: {misread}");
        }
    }

    proptest! {
        #[test]
        fn no_route_is_taken_for_a_slip(route in "([a-z]{1,5}:)?[1-9][0-9]{0,3}:([a-z]{1,5}:)?[1-9][0-9]{0,3}(/udp|/tcp)?") {
            prop_assert!(meant(&route).is_none(), "{route}");
        }
    }
}
