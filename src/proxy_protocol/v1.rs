//! Version 1: one line of text (section 2.1).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{Ends, Header, canonical};
use super::malformed::Malformed;
use super::tlv::Tlvs;

/// The longest line in bytes, CR LF included.
const LONGEST_LINE: usize = 107;

const TCP4: &[u8] = b"PROXY TCP4 ";
const TCP6: &[u8] = b"PROXY TCP6 ";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// See [`super::read`].
pub(super) fn read(bytes: &[u8]) -> Option<Result<(Header, usize), Malformed>> {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        let wrong = wrong_beginning(window).or((window.len() == LONGEST_LINE).then_some(Malformed::LineEnd));
        return wrong.map(Err);
    };
    // With the CR, so that the result is the same as for its beginning before.
    let ends = wrong_beginning(&window[..=end]).map_or_else(|| ends(&window[..end]), Err);
    Some(ends.map(|ends| (Header { ends, tlvs: Tlvs::default() }, end + 2)))
}

/// What is already wrong with the beginning of a line.
fn wrong_beginning(begun: &[u8]) -> Option<Malformed> {
    let agrees = |with: &[u8]| begun.iter().zip(with).all(|(a, b)| a == b);
    if !agrees(b"PROXY ") {
        return Some(Malformed::Absent);
    }
    if agrees(UNKNOWN) {
        // Everything up to the CR LF is ignored; but it must follow a space, or be the CR LF.
        let next = begun.get(UNKNOWN.len());
        return next.is_some_and(|next| !matches!(next, b' ' | b'\r')).then_some(Malformed::Protocol);
    }
    if !agrees(TCP4) && !agrees(TCP6) {
        return Some(Malformed::Protocol);
    }
    let (rest, last) = match begun.get(TCP4.len()..)?.split_last()? {
        (last, rest) if *last == b'\r' => (rest, None),
        (last, rest) => (rest, Some(last)),
    };
    let mut fields = rest.iter().chain(last);
    let wrong =
        fields.find(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'.' | b':' | b' '));
    wrong.map(|byte| if matches!(byte, b'\r' | b'\n') { Malformed::LineEnd } else { Malformed::Line })
}

/// Reads a line without its end, whose beginning was not wrong.
fn ends(line: &[u8]) -> Result<Ends, Malformed> {
    if let Some(ignored) = line.strip_prefix(UNKNOWN) {
        return if matches!(ignored.first(), None | Some(b' ')) {
            Ok(Ends::Own)
        } else {
            Err(Malformed::LineEnd)
        };
    }
    // A text shorter than the word for a family agrees with its beginning and is no word.
    let (rest, address): (_, fn(&str) -> Option<IpAddr>) =
        match (line.strip_prefix(TCP4), line.strip_prefix(TCP6)) {
            (Some(rest), _) => (rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from)),
            (_, Some(rest)) => (rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from)),
            (None, None) => return Err(Malformed::Protocol),
        };
    let text = str::from_utf8(rest).map_err(|_| Malformed::Line)?;
    let fields: Vec<&str> = text.split(' ').collect();
    let &[client, destination, client_port, destination_port] = &fields[..] else {
        return Err(Malformed::Line);
    };
    let end = |ip: &str, port: &str| Some(canonical(SocketAddr::new(address(ip)?, read_port(port)?)));
    let client = end(client, client_port).ok_or(Malformed::Line)?;
    let destination = end(destination, destination_port).ok_or(Malformed::Line)?;
    Ok(Ends::Net { client, destination })
}

/// A decimal number without a sign or leading zero.
fn read_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// The line that announces these ends.
pub(super) fn write(ends: &Ends) -> Vec<u8> {
    let Ends::Net { client, destination } = ends else { return [UNKNOWN, b"\r\n"].concat() };
    let (from, to) = (canonical(*client), canonical(*destination));
    let (family, ips) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (TCP4, format!("{from} {to}")),
        (from, to) => (TCP6, format!("{} {}", hexadecimal(from), hexadecimal(to))),
    };
    let mut line = String::from_utf8_lossy(family).into_owned();
    write!(line, "{ips} {} {}\r\n", from.port(), to.port()).expect("a String takes everything");
    line.into_bytes()
}

/// An address as the line requires it: hexadecimal groups only, also for an IPv4 address beside an IPv6 one.
fn hexadecimal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(ip) => ip.to_string(),
        IpAddr::V4(ip) => {
            let [.., high, low] = ip.to_ipv6_mapped().segments();
            format!("::ffff:{high:x}:{low:x}")
        }
    }
}
