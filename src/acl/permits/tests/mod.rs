mod dial;

use proptest::prelude::*;

use super::*;

fn permits(entries: &[&str]) -> Permits {
    entries.iter().map(|entry| entry.parse::<May>().unwrap_or_else(|misread| panic!("{misread}"))).collect()
}

fn listens(entries: &[&str], at: &str, protocol: Protocol) -> bool {
    let at: Run<ListenAddress> = at.parse().unwrap();
    permits(entries).may_listen(at.first(), protocol)
}

fn nobody(_: IpAddr) -> bool {
    false
}

fn dials(entries: &[&str], to: &str) -> bool {
    let to: Run<TargetAddress> = to.parse().unwrap();
    permits(entries).may_dial(to.first(), Protocol::Tcp, &nobody)
}

fn message(text: &str) -> String {
    text.parse::<May>().unwrap_err().to_string()
}

#[test]
fn nothing_that_is_not_written_is_permitted() {
    assert!(Permits::default().is_empty());
    for at in ["8080", "0.0.0.0:8080", "[::1]:8080", "127.0.0.1:0", "unix:/run/x", "tunnel:home/8080"] {
        assert!(!listens(&[], at, Protocol::Tcp), "{at}");
    }
    for to in ["10.0.0.5:5432", "db:5432", "127.0.0.1:22", "unix:/run/x", "tunnel:home/web"] {
        assert!(!dials(&[], to), "{to}");
    }
}

#[test]
fn an_entry_is_read_and_printed_in_one_way() {
    for (written, printed) in [
        ("8080", "127.0.0.1:8080"),
        (":8080", "127.0.0.1:8080"),
        ("8000-8010", "127.0.0.1:8000-8010"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("0.0.0.0:27015/udp", "0.0.0.0:27015/udp"),
        ("10.0.0.0/8:5432", "10.0.0.0/8:5432"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8/udp", "10.0.0.0/8/udp"),
        ("[fd00::/8]:5432", "[fd00::/8]:5432"),
        ("[::1]:80-90", "[::1]:80-90"),
        ("[::1]", "[::1]"),
        ("[::ffff:10.0.0.0/104]:80", "10.0.0.0/8:80"),
        ("DB.Internal.:5432", "db.internal:5432"),
        ("localhost:22", "localhost:22"),
        ("localhost:22-23", "localhost:22-23"),
        ("unix:/run/x/udp", "unix:/run/x/udp"),
        ("unix:@x", "unix:@x"),
    ] {
        let may: May = written.parse().unwrap_or_else(|misread| panic!("{written}: {misread}"));
        assert_eq!(may.to_string(), printed, "{written}");
        assert_eq!(printed.parse(), Ok(may), "{printed}");
    }
}

#[test]
fn what_is_no_entry_is_answered_with_what_to_write() {
    for (written, what, instead) in [
        ("", "\"\" is not an address", "write an address or a network"),
        ("*:8080", "\"*\" is not an address", "write \"0.0.0.0/0:8080\" for every IPv4"),
        ("all", "\"all\" is not an address", "write \"0.0.0.0/0\" for every IPv4"),
        ("10.0.0.5/8:80", "\"10.0.0.5/8\" has bits beyond its first 8", "write \"10.0.0.0/8\""),
        ("10.0.0.0/33:80", "\"33\" is no length of a prefix", "write 0 to 32"),
        ("fd00::/8:5432", "\"fd00::/8:5432\" is IPv6", "write \"[fd00::/8]:5432\""),
        ("fd00::/8", "\"fd00::/8\" is IPv6", "write \"[fd00::/8]:PORT\""),
        ("::1", "\"::1\" is IPv6", "write \"[::1]:PORT\""),
        ("[fd00::]/8:5432", "\"[fd00::]/8:5432\" is IPv6", "write \"[fd00::/8]:5432\""),
        ("[::1", "\"[::1\" is not an address", "write an address"),
        ("127.0.0.1:0", "port 0 permits no port", "leave the port out"),
        ("127.0.0.1:9-8", "the range \"9-8\" runs backwards", "write \"8-9\""),
        ("127.0.0.1:http", "\"http\" is not a port", ""),
        ("127.0.0.1:80,81", "\"127.0.0.1:80,81\" is not an address", "write an address"),
        (" 8080", "\" 8080\" is not an address", "write \"8080\""),
        ("8080/tcp", "\"8080/tcp\" has the protocol in it", "tcp is the default: \"8080\""),
        ("db.internal", "\"db.internal\" is a name", "write \"db.internal:5432\""),
        ("db.internal:80-90", "\"db.internal\" is a name", "write \"db.internal:5432\""),
        ("http://db:80", "\"http://db:80\" is not an address", "write an address"),
        ("[64:ff9b::/96]:80", "\"64:ff9b::/96\" stands for addresses of IPv4", "write those"),
        ("[2002::/16]:80", "\"2002::/16\" stands for addresses of IPv4", "write those"),
        ("tunnel:vps/80", "\"tunnel:vps/80\" is at the other end", "write an address of this machine"),
        ("unix:x", "\"unix:x\" is not a whole path", "write it from the root"),
    ] {
        let told = message(written);
        let (said, then) = told.split_once("; ").unwrap();
        assert!(said.starts_with(what) && then.starts_with(instead), "{written}: {told}");
    }
}

#[test]
fn a_listener_is_permitted_by_its_address_its_port_and_its_protocol() {
    let entries =
        ["0.0.0.0:8080", "127.0.0.1:9000-9010", "[fd00::/8]:5432", "0.0.0.0:27015/udp", "unix:/run/x"];
    for (at, protocol, wanted) in [
        ("0.0.0.0:8080", Protocol::Tcp, true),
        ("127.0.0.1:8080", Protocol::Tcp, true),
        ("192.0.2.1:8080", Protocol::Tcp, true),
        ("[::]:8080", Protocol::Tcp, false),
        ("[::1]:8080", Protocol::Tcp, false),
        ("[::ffff:0.0.0.0]:8080", Protocol::Tcp, true),
        ("0.0.0.0:8080", Protocol::Udp, false),
        ("0.0.0.0:8081", Protocol::Tcp, false),
        ("127.0.0.1:9000", Protocol::Tcp, true),
        ("127.0.0.1:9010", Protocol::Tcp, true),
        ("127.0.0.1:8999", Protocol::Tcp, false),
        ("127.0.0.1:9011", Protocol::Tcp, false),
        ("0.0.0.0:9000", Protocol::Tcp, false),
        ("[::ffff:0.0.0.0]:9000", Protocol::Tcp, false),
        ("127.0.0.2:9000", Protocol::Tcp, false),
        ("[fd00::1]:5432", Protocol::Tcp, true),
        ("[fe80::1%eth0]:5432", Protocol::Tcp, false),
        ("[::]:5432", Protocol::Tcp, false),
        ("0.0.0.0:27015", Protocol::Udp, true),
        ("0.0.0.0:27015", Protocol::Tcp, false),
        ("unix:/run/x", Protocol::Tcp, true),
        ("unix:/run/y", Protocol::Tcp, false),
        ("unix:@/run/x", Protocol::Tcp, false),
        ("tunnel:home/8080", Protocol::Tcp, false),
    ] {
        assert_eq!(listens(&entries, at, protocol), wanted, "{at} {protocol}");
    }
    assert!(listens(&["0.0.0.0/0"], "0.0.0.0:80", Protocol::Tcp), "the whole network");
    assert!(!listens(&["0.0.0.0/8"], "0.0.0.0:80", Protocol::Tcp), "a network that merely begins with it");
    assert!(!listens(&["0.0.0.0/1"], "0.0.0.0:80", Protocol::Tcp));
}

#[test]
fn a_listener_for_both_families_needs_both() {
    let both = |entries: &[&str]| {
        let net = NetListen { families: Families::Both, ..NetListen::new("[::]:80".parse().unwrap()) };
        permits(entries).may_listen(&ListenAddress::Net(net), Protocol::Tcp)
    };

    assert!(!both(&["[::]:80"]) && !both(&["0.0.0.0:80"]) && both(&["[::]:80", "0.0.0.0:80"]));
}

#[test]
fn a_free_port_is_one_that_is_permitted() {
    let free = |entries: &[&str], at: &str| permits(entries).free_ports(&at.parse().unwrap(), Protocol::Tcp);
    let entries = ["127.0.0.1:9000-9003", "127.0.0.1:9002-9004", "0.0.0.0:80", "127.0.0.1:9100/udp"];

    assert_eq!(free(&entries, "127.0.0.1:0"), [80, 9000, 9001, 9002, 9003, 9004]);
    assert_eq!(free(&entries, "0.0.0.0:0"), [80]);
    assert_eq!(free(&entries, "127.0.0.1:9003-9010"), [9003, 9004]);
    assert_eq!(free(&entries, "127.0.0.1:9005-9010"), [0; 0]);
    assert_eq!(free(&entries, "127.0.0.1:9001"), [9001]);
    assert_eq!(free(&entries, "[::1]:0"), [0; 0]);
    assert_eq!(free(&entries, "unix:/x"), [0; 0]);
    assert_eq!(free(&["127.0.0.1"], "127.0.0.1:0"), (1024..=65535).collect::<Vec<u16>>());
    assert_eq!(free(&["127.0.0.1"], "127.0.0.1:80-82"), [80, 81, 82], "ports that are asked for by number");
    assert_eq!(free(&["127.0.0.1:1-65535"], "127.0.0.1:0").len(), 65_535);
    assert!(listens(&entries, "127.0.0.1:0", Protocol::Tcp) && !listens(&entries, "[::1]:0", Protocol::Tcp));
}

#[test]
fn what_is_open_to_others_and_what_leads_into_this_machine_is_known() {
    let shown =
        |entries: &mut dyn Iterator<Item = &May>| entries.map(May::to_string).collect::<Vec<_>>().join(" ");
    let permits = permits(&[
        "127.0.0.1:80",
        "0.0.0.0:80",
        "[::1]:80",
        "10.0.0.0/8",
        "169.254.169.254",
        "localhost:1",
        "db:1",
        "unix:@x",
    ]);

    assert_eq!(shown(&mut permits.beyond_loopback()), "0.0.0.0:80 10.0.0.0/8 169.254.169.254");
    assert_eq!(shown(&mut permits.into_this_machine()), "127.0.0.1:80 [::1]:80 169.254.169.254 localhost:1");
}

fn entry() -> impl Strategy<Value = String> {
    let network = prop_oneof![
        (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| {
            ipnet::Ipv4Net::new(bits.into(), length).unwrap().trunc().to_string()
        }),
        (any::<u128>(), 0_u8..=128).prop_map(|(bits, length)| {
            format!("[{}]", ipnet::Ipv6Net::new(bits.into(), length).unwrap().trunc())
        }),
        "[a-z]{1,8}\\.[a-z]{1,8}",
    ];
    let ports = prop_oneof![
        (1_u16..).prop_map(|port| format!(":{port}")),
        (1_u16..1000, 1000_u16..).prop_map(|(first, last)| format!(":{first}-{last}")),
        Just(String::new()),
    ];
    (network, ports, prop_oneof![Just(""), Just("/udp")])
        .prop_map(|(network, ports, end)| format!("{network}{ports}{end}"))
}

proptest! {
    #[test]
    fn an_entry_is_read_back(text in entry()) {
        if let Ok(may) = text.parse::<May>() {
            prop_assert_eq!(may.to_string().parse::<May>(), Ok(may));
        }
    }

    #[test]
    fn no_text_panics(text in ".*") {
        let _ = text.parse::<May>();
    }

    #[test]
    fn nothing_that_looks_like_an_entry_panics(text in r"(unix:|\[)?[\[\]:.%*@/0-9a-fu -]{0,24}(/udp)?") {
        let _ = text.parse::<May>();
    }

    #[test]
    fn a_network_permits_its_own_addresses_and_no_other(bits: u32, length in 0_u8..=32, other: u32, port in 1_u16..) {
        let network = ipnet::Ipv4Net::new(bits.into(), length).unwrap().trunc();
        let permits: Permits = [format!("{network}:{port}").parse::<May>().unwrap()].into_iter().collect();
        let ip: IpAddr = Ipv4Addr::from(other).into();
        let to = |port| TargetAddress::from(SocketAddr::new(ip, port));

        let is_open = closed::around(ip).all(|closed| closed.contains(&IpNet::from(network)));
        let wanted = network.contains(&Ipv4Addr::from(other)) && is_open;
        prop_assert_eq!(permits.may_dial(&to(port), Protocol::Tcp, &nobody), wanted);
        prop_assert!(!permits.may_dial(&to(port), Protocol::Udp, &nobody));
        prop_assert!(!permits.may_dial(&to(port.wrapping_add(1)), Protocol::Tcp, &nobody));
    }
}
