//! The parts of every address: `HOST:PORT`, a host, a port; and the messages for texts that are no address.
//!
//! These do not depend on whether the address is for listening or dialling; the callers decide what is allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Host, Interface};
use crate::units::{Misread, quoted};

/// The longest name in DNS, in bytes.
const MAX_NAME: usize = 253;

/// An address split in two. The host keeps its brackets, so that `[db]` and `db` stay different; no host is `None`.
pub(super) struct Cut<'t> {
    pub(super) host: Option<&'t str>,
    pub(super) port: &'t str,
}

/// Splits `"host:port"`, `":port"` or `"port"`.
pub(super) fn cut(text: &str) -> Result<Cut<'_>, Misread> {
    refuse_other_forms(text)?;
    if !text.contains(':') && is_ports(text) {
        return Ok(Cut { host: None, port: text });
    }
    if text.starts_with('[') {
        return cut_brackets(text);
    }
    if text.matches(':').count() > 1 {
        return Err(unbracketed(text));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if is_number(host) && is_number(port) => Err(Misread::new(
            format!("{} has two ports", quoted(text)),
            format!("write one here: listen = \"{host}\" and target = \"{port}\" are two keys"),
        )),
        Some((host, port)) if !port.is_empty() => Ok(Cut { host: (!host.is_empty()).then_some(host), port }),
        Some((host, _)) => Err(no_port(text, host)),
        None => Err(no_port(text, text)),
    }
}

/// A port, or a range of them: the first and the count.
pub(super) fn ports(text: &str) -> Result<(u16, u16), Misread> {
    let Some((first, last)) = text.split_once('-').filter(|_| is_range(text)) else {
        return port(text).map(|port| (port, 1));
    };
    let (first, last) = (port(first)?, port(last)?);
    if first == 0 {
        let what = format!("the range {} begins at port 0, which means any port", quoted(text));
        return Err(Misread::new(what, r#"write its first and its last port, as "8000-8010""#));
    }
    if last < first {
        let what = format!("the range {} runs backwards", quoted(text));
        return Err(Misread::new(what, format!(r#"write "{last}-{first}""#)));
    }
    Ok((first, last - first + 1))
}

/// A port from 0 to 65535, in plain digits.
fn port(text: &str) -> Result<u16, Misread> {
    match text.parse() {
        // `parse` alone would accept "+80".
        Ok(port) if is_number(text) => Ok(port),
        _ => Err(Misread::new(
            format!("{} is not a port", quoted(text)),
            "a port is a whole number from 1 to 65535",
        )),
    }
}

/// A host: an IPv4 literal, an IPv6 literal in brackets, or a name.
pub(super) fn host(text: &str) -> Result<Host, Misread> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bracketed(inner);
    }
    match text.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(Host::Ip(IpAddr::V4(ip))),
        Err(_) => name(text).map(Host::Name),
    }
}

/// Only digits, at least one.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Two numbers separated by a dash.
pub(super) fn is_range(text: &str) -> bool {
    text.split_once('-').is_some_and(|(first, last)| is_number(first) && is_number(last))
}

/// Whether a text is a port or a range of ports.
pub(super) fn is_ports(text: &str) -> bool {
    is_number(text) || is_range(text)
}

/// As [`quoted`], without the quotes.
pub(super) fn bare(text: &str) -> String {
    quoted(text).trim_matches('"').to_owned()
}

/// Refuses common forms that are not an address, each with what to write instead.
pub(super) fn refuse_other_forms(text: &str) -> Result<(), Misread> {
    if text.trim().is_empty() {
        return Err(Misread::new("the address is empty", r#"write a host and a port, as "127.0.0.1:3000""#));
    }
    if text.contains(',') {
        let each: Vec<String> = text.split(',').map(|one| quoted(one.trim())).collect();
        let what = format!("{} is more than one address", quoted(text));
        return Err(Misread::new(what, format!("write a list: [{}]", each.join(", "))));
    }
    if let Some(bare) = text.strip_suffix("/tcp") {
        let what = format!("{} has the protocol in it", quoted(text));
        return Err(Misread::new(what, format!("tcp is the default: {}", quoted(bare))));
    }
    if text.ends_with("/udp") || text.starts_with("udp://") {
        let what = format!("{} has the protocol in it", quoted(text));
        let instead =
            "leave it out, and write protocol = \"udp\" in the route; on the command line, as 5353:53/udp";
        return Err(Misread::new(what, instead));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let what = format!("{} is a URL, and an address is needed", quoted(text));
        let host_and_port =
            if authority.contains(':') { authority.into() } else { format!("{authority}:PORT") };
        return Err(Misread::new(what, format!("write host and port alone: {}", quoted(&host_and_port))));
    }
    if text.starts_with('/') || text.starts_with('@') {
        let what = format!("{} is no host and port", quoted(text));
        return Err(Misread::new(
            what,
            format!("for a Unix socket write {}", quoted(&format!("unix:{text}"))),
        ));
    }
    if text.contains(char::is_whitespace) {
        let what = format!("{} has a space in it", quoted(text));
        let parts: Vec<&str> = text.split_whitespace().collect();
        let instead = match parts[..] {
            [host, port] if is_number(port) && !host.ends_with(':') => {
                format!("write a colon there: {}", quoted(&format!("{host}:{port}")))
            }
            _ => format!("write it without: {}", quoted(&parts.concat())),
        };
        return Err(Misread::new(what, instead));
    }
    Ok(())
}

fn cut_brackets(text: &str) -> Result<Cut<'_>, Misread> {
    let Some(end) = text.find(']') else {
        let what = format!("{} opens a bracket and never closes it", quoted(text));
        return Err(Misread::new(what, r#"write it as "[::1]:3000""#));
    };
    let (host, rest) = text.split_at(end + 1);
    match rest.strip_prefix(':') {
        Some(port) if !port.is_empty() => Ok(Cut { host: Some(host), port }),
        _ if rest.is_empty() || rest == ":" => Err(no_port(text, host)),
        _ => {
            let what = format!("{} goes on after the bracket without a colon", quoted(text));
            Err(Misread::new(what, r#"write it as "[::1]:3000""#))
        }
    }
}

fn no_port(text: &str, host: &str) -> Misread {
    Misread::new(
        format!("{} has no port", quoted(text)),
        format!("write {}", quoted(&format!("{host}:PORT"))),
    )
}

/// Two or more colons outside brackets: IPv6, with or without a port, or one colon too many.
fn unbracketed(text: &str) -> Misread {
    if let Some(port) = text.strip_prefix("::").filter(|rest| rest.len() > 1 && is_number(rest)) {
        let what = format!("{} is an IPv6 address without brackets", quoted(text));
        let instead = format!(
            "write \"[::1]:{port}\" for this machine, or, to listen on every IPv6 address, \"[::]:{port}\""
        );
        return Misread::new(what, instead);
    }
    let with_port = text
        .rsplit_once(':')
        .filter(|(host, port)| host.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok());
    let (bare, behind) = text.split_once('%').unwrap_or((text, ""));
    let (zone, port) = behind.split_once(':').unwrap_or((behind, "PORT"));
    let instead = match with_port {
        Some((host, port)) => format!("[{host}]:{port}"),
        None if bare.parse::<Ipv6Addr>().is_ok() && zone.is_empty() => format!("[{bare}]:PORT"),
        None if bare.parse::<Ipv6Addr>().is_ok() => format!("[{bare}%{zone}]:{port}"),
        None => {
            let what = format!("{} has too many colons", quoted(text));
            return Misread::new(what, r#"write one host and one port, as "127.0.0.1:3000" or "[::1]:3000""#);
        }
    };
    let what = format!("{} is an IPv6 address without brackets", quoted(text));
    Misread::new(what, format!("write {}", quoted(&instead)))
}

fn bracketed(inner: &str) -> Result<Host, Misread> {
    if let Some((ip, zone)) = inner.split_once('%') {
        let zone: Interface = zone.parse()?;
        return match literal(ip)? {
            ip if ip.is_unicast_link_local() => Ok(Host::Zoned(ip, zone)),
            ip => {
                let what = format!("[{ip}] takes no zone: only link-local addresses (fe80::) have one");
                Err(Misread::new(what, format!(r#"write "[{ip}]" without %{zone}"#)))
            }
        };
    }
    literal(inner).map(|ip| Host::Ip(ip.into()))
}

fn literal(inner: &str) -> Result<Ipv6Addr, Misread> {
    inner.parse().map_err(|_| match inner.parse::<Ipv4Addr>() {
        Ok(ip) => Misread::new("brackets are for IPv6 alone", format!(r#"write "{ip}" without them"#)),
        Err(_) => Misread::new(
            format!("{} is not an IPv6 address", quoted(inner)),
            r#"write one as "[::1]", or a name without brackets"#,
        ),
    })
}

fn name(text: &str) -> Result<Box<str>, Misread> {
    let last = text.rsplit('.').next().unwrap_or(text);
    if is_number(last) {
        let what = format!("{} is not an IPv4 address", quoted(text));
        return Err(Misread::new(what, r#"write four numbers from 0 to 255, as "127.0.0.1""#));
    }
    if text == "*" {
        return Err(Misread::new(r#""*" is not a host"#, "write an IP address or a name"));
    }
    if !text.is_ascii() {
        let what = format!("{} is not a name DNS can carry", quoted(text));
        return Err(Misread::new(what, "write it in its xn-- form, or as an IP address"));
    }
    // A trailing dot is how DNS writes a complete name.
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    if text.len() > MAX_NAME || !labels.clone().all(is_label) {
        let what = format!("{} is not a host name", quoted(text));
        return Err(Misread::new(what, "a name has letters, digits, - and _, with dots between"));
    }
    Ok(text.into())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
