//! A route of the command line one end of which is at the other end of a tunnel: `-R`, which listens there, and `-L`, which
//! dials there.

use super::spec::refuse_open_bind;
use super::tunnel::is_service;
use super::{ListenAddress, ListenThere, Protocol, Run, Spec, TargetAddress, TunnelName};
use crate::units::{Misread, quoted};

impl Spec {
    /// Reads a route of `-R`, whose first address is at the other end of the tunnel, and whose target is dialled from here. It
    /// is written as any route; without a bind it listens on loopback there.
    ///
    /// # Errors
    /// As for any route, and for a range of targets: of a range there one free port is taken.
    pub fn listening_in(tunnel: &TunnelName, text: &str) -> Result<Spec, Misread> {
        refuse_open_bind(text, "the other end")?;
        let spec: Spec = text.parse()?;
        if spec.target.count() > 1 {
            let what = format!("of the ports {} one that is free is taken at the other end", spec.listen);
            let (listen, target) = (spec.listen.at(0), spec.target.at(0));
            return Err(Misread::new(
                what,
                format!("write -R for each port, beginning with -R {listen}:{target}"),
            ));
        }
        let at = Some(Box::new(spec.listen));
        let listen = Run::from(ListenAddress::There(ListenThere { tunnel: tunnel.clone(), at }));
        Ok(Spec { listen, ..spec })
    }

    /// Reads a route of `-L`, or a bare one, that listens here, and whose target is dialled from the other end of the tunnel:
    /// an address, or the name of a route there, as `5432:db`, or `53:names/udp`.
    ///
    /// # Errors
    /// As for any route, and for a range of targets.
    pub fn dialling_in(tunnel: &TunnelName, text: &str) -> Result<Spec, Misread> {
        let (route, protocol) = match text.rsplit_once('/') {
            Some((route, "udp")) => (route, Protocol::Udp),
            Some((route, "tcp")) => (route, Protocol::Tcp),
            _ => (text, Protocol::Tcp),
        };
        if let Some((listen, service)) = to_service(route) {
            let target = format!("tunnel:{tunnel}/{service}").parse()?;
            return Ok(Spec { listen, target, protocol });
        }
        let spec: Spec = text.parse()?;
        if let TargetAddress::There(there) = spec.target.first() {
            let what = format!("{} names its tunnel, and goes through {tunnel} as well", quoted(text));
            return Err(Misread::new(what, format!("leave tunnel:{}/ out, or --tunnel", there.tunnel)));
        }
        let target = format!("tunnel:{tunnel}/{}", spec.target).parse()?;
        Ok(Spec { target, ..spec })
    }
}

/// `5432:db`, `0.0.0.0:5432:db`: where it listens here, and the name of a route there.
fn to_service(text: &str) -> Option<(Run<ListenAddress>, &str)> {
    let (listen, service) = text.rsplit_once(':')?;
    let is_here = !listen.is_empty() && !listen.starts_with(':') && is_service(service);
    let listen: Run<ListenAddress> = listen.parse().ok().filter(|_| is_here)?;
    matches!(listen.first(), ListenAddress::Net(_)).then_some((listen, service))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(how: fn(&TunnelName, &str) -> Result<Spec, Misread>, text: &str) -> Result<String, String> {
        let spec = how(&"vps".parse().unwrap(), text).map_err(|misread| misread.to_string())?;
        let protocol = if spec.protocol == Protocol::Udp { " udp" } else { "" };
        Ok(format!("{} -> {}{protocol}", spec.listen, spec.target))
    }

    #[test]
    fn a_route_of_r_listens_there_on_loopback_unless_a_bind_is_written_and_dials_here() {
        for (text, route) in [
            ("8080:3000", "tunnel:vps/127.0.0.1:8080 -> 127.0.0.1:3000"),
            ("0.0.0.0:8080:62893", "tunnel:vps/0.0.0.0:8080 -> 127.0.0.1:62893"),
            ("8080:db.internal:5432", "tunnel:vps/127.0.0.1:8080 -> db.internal:5432"),
            ("[::]:8080:[::1]:3000", "tunnel:vps/[::]:8080 -> [::1]:3000"),
            ("0:3000", "tunnel:vps/127.0.0.1:0 -> 127.0.0.1:3000"),
            ("9000-9010:3000", "tunnel:vps/127.0.0.1:9000-9010 -> 127.0.0.1:3000"),
            ("8080:/run/x.sock", "tunnel:vps/127.0.0.1:8080 -> unix:/run/x.sock"),
            ("27015:27015/udp", "tunnel:vps/127.0.0.1:27015 -> 127.0.0.1:27015 udp"),
        ] {
            assert_eq!(read(Spec::listening_in, text).as_deref(), Ok(route), "{text}");
        }
    }

    #[test]
    fn a_route_of_l_listens_here_and_dials_there_an_address_or_a_route_by_its_name() {
        for (text, route) in [
            ("5432:db.internal:5432", "127.0.0.1:5432 -> tunnel:vps/db.internal:5432"),
            ("8080:3000", "127.0.0.1:8080 -> tunnel:vps/127.0.0.1:3000"),
            ("5432:db", "127.0.0.1:5432 -> tunnel:vps/db"),
            ("0.0.0.0:5432:db", "0.0.0.0:5432 -> tunnel:vps/db"),
            ("[::1]:5432:db-2", "[::1]:5432 -> tunnel:vps/db-2"),
            ("5353:names/udp", "127.0.0.1:5353 -> tunnel:vps/names udp"),
            ("5353:10.0.0.1:53/udp", "127.0.0.1:5353 -> tunnel:vps/10.0.0.1:53 udp"),
            ("5432:db/tcp", "127.0.0.1:5432 -> tunnel:vps/db"),
            ("5432:udp", "127.0.0.1:5432 -> tunnel:vps/udp"),
            ("8080:/run/x.sock", "127.0.0.1:8080 -> tunnel:vps/unix:/run/x.sock"),
            ("/run/y.sock:db.internal:5432", "unix:/run/y.sock -> tunnel:vps/db.internal:5432"),
        ] {
            assert_eq!(read(Spec::dialling_in, text).as_deref(), Ok(route), "{text}");
        }
    }

    #[test]
    fn what_is_no_route_through_a_tunnel_is_answered_with_what_to_write() {
        for (told, wanted) in [
            (
                read(Spec::listening_in, "*:8080:3000"),
                "a bind of * is refused; write 0.0.0.0:8080:3000 for every address, 8080:3000 for the other end alone",
            ),
            (
                read(Spec::listening_in, ":8080:3000"),
                "an empty bind is refused; write 0.0.0.0:8080:3000 for every",
            ),
            (read(Spec::listening_in, "8080"), "\"8080\" names no target; write 8080:3000"),
            (
                read(Spec::listening_in, "9000-9001:3000-3001"),
                "of the ports 127.0.0.1:9000-9001 one that is free is taken at the other end; write -R for each port, \
                 beginning with -R 127.0.0.1:9000:127.0.0.1:3000",
            ),
            (
                read(Spec::dialling_in, "*:8080:3000"),
                "a bind of * is refused; write 0.0.0.0:8080:3000 for every",
            ),
            (read(Spec::dialling_in, ":8080:web"), "an empty bind is refused"),
            (read(Spec::dialling_in, "8000-8001:9000-9001"), "a range of ports is no target in a tunnel"),
            (
                read(Spec::dialling_in, "8080:tunnel:home/web"),
                "\"8080:tunnel:home/web\" names its tunnel, and goes through vps as well; leave tunnel:home/ out, or --tunnel",
            ),
            (read(Spec::dialling_in, "8080:db:http"), "\"http\" is not a port"),
        ] {
            let told = told.unwrap_err();
            assert!(told.starts_with(wanted), "{told}, and not: {wanted}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[\[\]:.*@/0-9a-funix-]{0,24}") {
            let _ = (read(Spec::listening_in, &text), read(Spec::dialling_in, &text));
        }
    }
}
