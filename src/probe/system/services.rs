//! The usual meaning of a port number: its IANA class and its name in /etc/services.

use crate::probe::read_text;
use crate::units::shown;

/// The class of a port (RFC 6335, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortClass {
    /// 0 to 1023: on most machines only root may listen there.
    System,
    /// 1024 to 49151.
    User,
    /// 49152 to 65535: never assigned to a service.
    Dynamic,
}

impl PortClass {
    /// The class of `port`.
    pub fn of(port: u16) -> PortClass {
        match port {
            0..1024 => PortClass::System,
            1024..49152 => PortClass::User,
            49152.. => PortClass::Dynamic,
        }
    }

    /// Its name and range.
    pub fn text(self) -> &'static str {
        match self {
            PortClass::System => "system (0-1023)",
            PortClass::User => "registered (1024-49151)",
            PortClass::Dynamic => "dynamic (49152-65535)",
        }
    }
}

/// The usual service of a port among developers, where /etc/services lacks it or names something else.
const USUAL: [(u16, &str); 18] = [
    (22, "ssh"),
    (53, "domain"),
    (80, "http"),
    (443, "https"),
    (3000, "development server"),
    (3306, "mysql"),
    (5173, "vite"),
    (5432, "postgresql"),
    (5672, "amqp"),
    (6379, "redis"),
    (8000, "development server"),
    (8080, "http-alt"),
    (8443, "https-alt"),
    (9090, "prometheus"),
    (9092, "kafka"),
    (9200, "elasticsearch"),
    (11211, "memcached"),
    (27017, "mongodb"),
];
const MAX_FILE: u64 = 1 << 20;

/// The usual service of a port; `protocol` is `tcp` or `udp`.
pub fn name(port: u16, protocol: &str) -> Option<String> {
    let usual = USUAL.iter().find(|(known, _)| *known == port).map(|(_, name)| (*name).to_owned());
    usual.or_else(|| in_services(&read_text("/etc/services", MAX_FILE).ok()?, port, protocol))
}

/// The port of a service by its name or one of its other names; `protocol` is `tcp` or `udp`.
pub fn port(name: &str, protocol: &str) -> Option<u16> {
    let usual = USUAL.iter().find(|(_, known)| *known == name).map(|(port, _)| *port);
    usual.or_else(|| port_in_services(&read_text("/etc/services", MAX_FILE).ok()?, name, protocol))
}

fn port_in_services(text: &str, wanted: &str, protocol: &str) -> Option<u16> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let name = words.next()?;
        let (port, of) = words.next()?.split_once('/')?;
        let is_it = of == protocol && (name == wanted || words.any(|other| other == wanted));
        if is_it { port.parse().ok() } else { None }
    })
}

/// `http 80/tcp www # comment`
fn in_services(text: &str, port: u16, protocol: &str) -> Option<String> {
    let wanted = format!("{port}/{protocol}");
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let name = words.next()?;
        (words.next()? == wanted).then(|| shown(name, 32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_by_its_number_and_protocol() {
        let services = "# c\ngopher 70/tcp\ngopher 70/udp x\n#finger 79/tcp\n";

        assert_eq!(in_services(services, 70, "tcp").as_deref(), Some("gopher"));
        assert_eq!(in_services(services, 79, "tcp"), None);
        assert_eq!(name(5432, "tcp").as_deref(), Some("postgresql"));
        assert_eq!(port_in_services(services, "x", "udp"), Some(70));
        assert_eq!(port_in_services(services, "x", "tcp"), None);
        assert_eq!(port("https", "tcp"), Some(443));
    }

    #[test]
    fn a_class_has_its_borders() {
        let class = |port| PortClass::of(port);
        assert_eq!([class(1023), class(1024)], [PortClass::System, PortClass::User]);
        assert_eq!([class(49151), class(62893)], [PortClass::User, PortClass::Dynamic]);
    }
}
