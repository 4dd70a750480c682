//! A route as the command line writes it, `[bind:]port:[host:]port`, in the syntax of `ssh -L`; with `/udp` at the end
//! for UDP. Either end may be the path of a Unix socket.
//!
//! One deliberate difference: an empty or `*` bind is refused, because in ssh it opens the port to every network and
//! here that must be written out. Settings have no short form; they belong to the configuration.

use std::fmt;
use std::str::FromStr;

use super::part::{bare, is_number, is_ports, refuse_other_forms};
use super::{ListenAddress, Protocol, Run, TargetAddress, UnixName, slips, tunnel};
use crate::units::{Misread, quoted};

/// A route from the command line: where it listens and what it dials. It prints in full, with all four parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The address to listen on; 127.0.0.1 if no bind was written.
    pub listen: Run<ListenAddress>,
    /// The address to dial; 127.0.0.1 if no host was written.
    pub target: Run<TargetAddress>,
    /// The protocol; TCP if none was written.
    pub protocol: Protocol,
}

impl FromStr for Spec {
    type Err = Misread;

    /// Reads `8080:3000`, `8080:db:5432`, `0.0.0.0:8080:3000` and `0.0.0.0:8080:db:5432`. Of three parts a numeric
    /// first is the port. IPv6 is written in brackets, a port may be a range, and a part that contains `/` or begins
    /// with `unix:` is a Unix socket: `8080:/run/x.sock`, `/run/x.sock:db:5432`, `unix:@name:3000`. A target may be in a
    /// tunnel: `8080:tunnel:vps/web`, `8080:tunnel:vps/10.0.0.5:80`.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if text.ends_with(".toml") {
            let what = format!("{} is a file, not a route", quoted(text));
            return Err(Misread::new(what, format!("write -c before it: -c {}", bare(text))));
        }
        if let Some(misread) = slips::meant(text) {
            return Err(misread);
        }
        if let Some((listen, target)) = tunnel::in_route(text) {
            return to_tunnel(text, listen, target);
        }
        // The path of a Unix socket may end in these words, and is kept as it is.
        let (text, protocol) = match text.rsplit_once('/') {
            Some((rest, "udp")) if !names_unix(rest) => (rest, Protocol::Udp),
            Some((rest, "tcp")) if !names_unix(rest) => (rest, Protocol::Tcp),
            _ => (text, Protocol::Tcp),
        };
        let parts = split(text)?;
        if names_unix(text) && !text.contains("://") {
            return with_unix(text, &joined(text, &parts));
        }
        refuse_other_forms(text)?;
        let (bind, listen_port, host, target_port) = match parts[..] {
            [listen, target] => (None, listen, None, target),
            [listen, host, target] if is_ports(listen) => (None, listen, Some(host), target),
            [bind, listen, target] => (Some(bind), listen, None, target),
            [bind, listen, host, target] => (Some(bind), listen, Some(host), target),
            _ => return Err(form(text, &parts)),
        };
        if host == Some("") {
            let what = format!("{} has an empty host", quoted(text));
            return Err(Misread::new(what, format!("leave it out: {listen_port}:{target_port}")));
        }
        refuse_open_bind(text, HERE)?;
        Ok(Spec { listen: end(bind, listen_port)?, target: end(host, target_port)?, protocol })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.listen, self.target)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

/// Whether one of the ends is a Unix socket.
fn names_unix(text: &str) -> bool {
    text.contains('/') || text.split(':').any(|part| part == "unix")
}

/// A route with a Unix socket at one end or both.
fn with_unix(text: &str, parts: &[&str]) -> Result<Spec, Misread> {
    let is_unix = |part: &str| part.contains('/') || part.starts_with("unix:");
    let unix = |part: &str| UnixName::read(&format!("unix:{}", part.strip_prefix("unix:").unwrap_or(part)));
    let listen = |part: &str| match unix(part) {
        Some(name) => name.map(|name| Run::from(ListenAddress::Unix(name))),
        None => end(None, part),
    };
    let target = |part: &str| match unix(part) {
        Some(name) => name.map(|name| Run::from(TargetAddress::Unix(name))),
        None => end(None, part),
    };
    let tcp = |listen, target| Spec { listen, target, protocol: Protocol::Tcp };
    match parts[..] {
        [a, b] if is_unix(a) && is_unix(b) => Ok(tcp(listen(a)?, target(b)?)),
        [a, port] if is_unix(a) => Ok(tcp(listen(a)?, end(None, port)?)),
        [a, host, port] if is_unix(a) => Ok(tcp(listen(a)?, end(Some(host), port)?)),
        [port, b] if is_unix(b) => Ok(tcp(end(None, port)?, target(b)?)),
        [bind, port, b] if is_unix(b) && !is_unix(bind) => {
            refuse_open_bind(text, HERE)?;
            Ok(tcp(end(Some(bind), port)?, target(b)?))
        }
        _ => Err(Misread::new(
            format!("{} is not a route", quoted(text)),
            "write 8080:/run/x.sock, /run/x.sock:8080 or /run/x.sock:host:8080",
        )),
    }
}

/// Joins `unix` again with what follows its colon.
fn joined<'t>(text: &'t str, parts: &[&'t str]) -> Vec<&'t str> {
    let (mut joined, mut at, mut parts) = (Vec::new(), 0, parts.iter().peekable());
    while let Some(part) = parts.next() {
        let behind = if *part == "unix" { parts.next().map_or(0, |next| next.len() + 1) } else { 0 };
        joined.push(&text[at..at + part.len() + behind]);
        at += part.len() + behind + 1;
    }
    joined
}

/// A route from here to a place in a tunnel, as `8080:tunnel:vps/web`.
fn to_tunnel(text: &str, listen: &str, target: &str) -> Result<Spec, Misread> {
    let (target, protocol) = match target.rsplit_once('/') {
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        _ => (target, Protocol::Tcp),
    };
    refuse_open_bind(text, HERE)?;
    let listen = match listen.strip_prefix('/') {
        Some(path) => format!("unix:/{path}").parse()?,
        None => listen.parse()?,
    };
    Ok(Spec { listen, target: target.parse()?, protocol })
}

/// How a route's own machine is called.
const HERE: &str = "this machine";

/// Refuses a route that begins with an empty bind, or with `*`; `there` is the machine that would listen.
pub(super) fn refuse_open_bind(text: &str, there: &str) -> Result<(), Misread> {
    let is_route = |rest: &&str| rest.contains(':');
    let (empty, every) = (text.strip_prefix(':'), text.strip_prefix("*:"));
    let (what, rest) = match (empty.filter(is_route), every.filter(is_route)) {
        (Some(rest), _) => ("an empty bind is refused", rest),
        (_, Some(rest)) => ("a bind of * is refused", rest),
        _ => return Ok(()),
    };
    let (rest, alone) = (bare(rest), if there == HERE { "" } else { " alone" });
    let instead = format!("write 0.0.0.0:{rest} for every address, {rest} for {there}{alone}");
    Err(Misread::new(what, instead))
}

/// Reads one end as if it were written alone, so that both spellings give the same messages.
fn end<T>(host: Option<&str>, port: &str) -> Result<Run<T>, Misread>
where
    Run<T>: FromStr<Err = Misread>,
{
    if !is_number(port) {
        // For the message about a port: a text without a colon would be taken for a host without a port.
        super::part::ports(port)?;
    }
    match host {
        Some(host) => format!("{host}:{port}").parse(),
        None => port.parse(),
    }
}

/// Splits at the colons outside brackets.
fn split(text: &str) -> Result<Vec<&str>, Misread> {
    let mut inside = false;
    let parts = text.split(|c| {
        inside = (inside || c == '[') && c != ']';
        c == ':' && !inside
    });
    let parts: Vec<&str> = parts.collect();
    if inside {
        let what = format!("{} opens a bracket and never closes it", quoted(text));
        return Err(Misread::new(what, "write IPv6 as [::1]:8080:3000"));
    }
    Ok(parts)
}

fn form(text: &str, parts: &[&str]) -> Misread {
    let shown = quoted(text);
    if parts.len() > 4 {
        let what = format!("{shown} has too many parts");
        return Misread::new(what, "write [bind:]port:[host:]port, with IPv6 in brackets: [::1]:8080:3000");
    }
    if is_number(text) {
        return Misread::new(
            format!("{shown} names no target"),
            format!("write {text}:3000 to forward to port 3000"),
        );
    }
    Misread::new(
        format!("{shown} is not a route"),
        "write [bind:]port:[host:]port, as 8080:3000 or 8080:db:5432",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        text.parse::<Spec>().unwrap().to_string()
    }

    fn message(text: &str) -> String {
        text.parse::<Spec>().unwrap_err().to_string()
    }

    #[test]
    fn ports_and_hosts_are_distinguished() {
        assert_eq!(read("8080:3000"), "127.0.0.1:8080:127.0.0.1:3000");
        assert_eq!(read("8080:db:5432"), "127.0.0.1:8080:db:5432");
        assert_eq!(read("0.0.0.0:8080:3000"), "0.0.0.0:8080:127.0.0.1:3000");
        assert_eq!(read("0.0.0.0:8080:db:5432"), "0.0.0.0:8080:db:5432");
        assert_eq!(read("[::1]:8080:[::1]:3000"), "[::1]:8080:[::1]:3000");
        assert_eq!(read("8080:[::1]:3000"), "127.0.0.1:8080:[::1]:3000");
        assert_eq!(read("0:3000"), "127.0.0.1:0:127.0.0.1:3000");
        assert_eq!(read("localhost:0:localhost:3000"), "127.0.0.1:0:localhost:3000");
    }

    #[test]
    fn udp_is_written_behind_the_route() {
        assert_eq!(read("5353:53/udp"), "127.0.0.1:5353:127.0.0.1:53/udp");
        assert_eq!(read("[::1]:5353:[::1]:53/udp"), "[::1]:5353:[::1]:53/udp");
        assert_eq!(read("8080:3000/tcp"), "127.0.0.1:8080:127.0.0.1:3000");
        assert!(message("53/udp").starts_with(r#""53" names no target"#));
        assert!(message("8080:3000/sctp").contains("cannot stand behind the port"));
    }

    #[test]
    fn an_open_bind_is_written_out() {
        assert_eq!(
            message(":8080:3000"),
            "an empty bind is refused; write 0.0.0.0:8080:3000 for every address, 8080:3000 for this machine"
        );
        assert!(
            message("*:8080:db:1")
                .starts_with("a bind of * is refused; write 0.0.0.0:8080:db:1 for every address")
        );
        assert!(message(":0:3000").starts_with("an empty bind is refused"));
    }

    #[test]
    fn what_is_no_route_is_shown_the_form() {
        assert_eq!(message("8080"), r#""8080" names no target; write 8080:3000 to forward to port 3000"#);
        assert_eq!(
            message("/etc/x.toml"),
            r#""/etc/x.toml" is a file, not a route; write -c before it: -c /etc/x.toml"#
        );
        assert!(message("nonsense").contains("write [bind:]port:[host:]port"));
        assert!(message("::1:8080:3000").contains("IPv6 in brackets"));
        assert!(message("localhost:3000").starts_with("localhost:3000 is one address, and a route has two"));
        assert!(message("8080:db:99999").starts_with(r#""99999" is not a port"#));
        assert!(
            message("8080::3000").starts_with(r#""8080::3000" has an empty host; leave it out: 8080:3000"#)
        );
        assert!(message("8080:0").starts_with("port 0 cannot be dialled"));
    }

    #[test]
    fn ranges_and_unix_sockets_stand_for_either_end() {
        assert_eq!(read("8000-8010:9000-9010"), "127.0.0.1:8000-8010:127.0.0.1:9000-9010");
        assert_eq!(read("8000-8010:db:5432"), "127.0.0.1:8000-8010:db:5432");
        assert_eq!(read("8080:/run/x.sock"), "127.0.0.1:8080:unix:/run/x.sock");
        assert_eq!(read("0.0.0.0:8080:/run/x.sock"), "0.0.0.0:8080:unix:/run/x.sock");
        assert_eq!(read("/run/x.sock:3000"), "unix:/run/x.sock:127.0.0.1:3000");
        assert_eq!(read("/run/x.sock:[::1]:3000"), "unix:/run/x.sock:[::1]:3000");
        assert_eq!(read("/run/x.sock:/run/y.sock"), "unix:/run/x.sock:unix:/run/y.sock");
        assert_eq!(read("unix:@x:unix:@y"), "unix:@x:unix:@y");
        assert_eq!(read("unix:/x:8080"), "unix:/x:127.0.0.1:8080");
        assert!(message("./x.sock:8080").contains("is not a whole path"));
        assert!(message("8080:/run/a:b.sock").contains("is not a route"));
        assert!(message("*:8080:/run/x.sock").starts_with("a bind of * is refused"));
        assert!(message("/run/x.sock").contains("is not a route"));
        assert!(message("unix:").contains("is not a route"), "{}", message("unix:"));
    }

    #[test]
    fn a_target_may_be_in_a_tunnel_and_a_host_called_tunnel_stays_one() {
        assert_eq!(read("8080:tunnel:vps/web"), "127.0.0.1:8080:tunnel:vps/web");
        assert_eq!(read("0.0.0.0:8080:tunnel:vps/10.0.0.5:80"), "0.0.0.0:8080:tunnel:vps/10.0.0.5:80");
        assert_eq!(read("[::1]:8080:tunnel:vps/unix:/run/x"), "[::1]:8080:tunnel:vps/unix:/run/x");
        assert_eq!(read("/run/y:tunnel:vps/web"), "unix:/run/y:tunnel:vps/web");
        assert_eq!(read("8080:tunnel:vps/web/udp"), "127.0.0.1:8080:tunnel:vps/web/udp");
        assert_eq!(read("8080:tunnel:3000"), "127.0.0.1:8080:tunnel:3000");
        assert!(message("*:8080:tunnel:vps/web").starts_with("a bind of * is refused"));
        assert!(message("8080:tunnel:vps").starts_with("\"tunnel:vps\" names no target"));
        assert!(
            message("tunnel:vps/8080:3000")
                .ends_with("write -R 8080:3000 --tunnel vps, or listen = \"tunnel:vps/8080\" in a file")
        );
    }

    proptest! {
        #[test]
        fn a_route_is_read_back(listen: u16, target in 1_u16.., host in "[a-z]{1,8}") {
            let spec: Spec = format!("[::1]:{listen}:{host}:{target}").parse().unwrap();

            prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
        }

        #[test]
        fn a_route_of_unix_sockets_is_read_back(a in "unix:[@/][a-z./]{0,9}[a-z]", b in "unix:[@/][a-z./]{0,9}[a-z]") {
            let spec = format!("{a}:{b}").parse::<Spec>();
            prop_assume!(spec.is_ok());

            prop_assert_eq!(spec.unwrap().to_string(), format!("{a}:{b}"));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Spec>();
        }

        #[test]
        fn nothing_that_looks_like_a_route_panics(text in r"[\[\]:.*@/0-9a-funix-]{0,24}") {
            let _ = text.parse::<Spec>();
        }
    }
}
