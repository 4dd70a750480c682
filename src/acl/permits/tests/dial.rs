//! What `may_dial` permits.

use super::*;

#[test]
fn an_address_is_dialled_by_an_entry_that_has_it() {
    let entries = ["10.0.0.0/8:5432", "192.0.2.7", "[2001:db8::/32]:443", "db.internal:5432", "unix:/run/pg"];
    for (to, wanted) in [
        ("10.1.2.3:5432", true),
        ("10.1.2.3:5433", false),
        ("11.1.2.3:5432", false),
        ("[::ffff:10.1.2.3]:5432", true),
        ("[64:ff9b::10.1.2.3]:5432", true),
        ("[2002:a01:203::1]:5432", true),
        ("192.0.2.7:1", true),
        ("192.0.2.8:1", false),
        ("[2001:db8::9]:443", true),
        ("[2001:db9::9]:443", false),
        ("db.internal:5432", true),
        ("DB.internal.:5432", true),
        ("db.internal:5433", false),
        ("xdb.internal:5432", false),
        ("internal:5432", false),
        ("localhost:5432", false),
        ("unix:/run/pg", true),
        ("unix:/run/pg2", false),
        ("tunnel:home/10.1.2.3:5432", false),
    ] {
        assert_eq!(dials(&entries, to), wanted, "{to}");
    }
    let udp = permits(&["10.0.0.0/8:53/udp"]);
    let to = |protocol| {
        udp.may_dial(&TargetAddress::from(SocketAddr::from(([10, 0, 0, 1], 53))), protocol, &nobody)
    };
    assert!(to(Protocol::Udp) && !to(Protocol::Tcp));
}

#[test]
fn a_wide_entry_opens_neither_this_machine_nor_its_link_nor_the_metadata_of_a_cloud() {
    let closed = [
        "127.0.0.1:80",
        "127.9.9.9:80",
        "169.254.1.1:80",
        "169.254.169.254:80",
        "100.100.100.200:80",
        "224.0.0.1:80",
        "239.255.255.250:80",
        "255.255.255.255:80",
        "0.0.0.1:80",
        "[::1]:80",
        "[fe80::1]:80",
        "[fe80::1%eth0]:80",
        "[fd00:ec2::254]:80",
        "[ff02::1]:80",
        "[::ffff:127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "[2002:7f00:1::]:80",
        "[2002:a9fe:a9fe::]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[64:ff9b:1::1]:80",
        "[::127.0.0.1]:80",
    ];
    for to in closed {
        assert!(
            !dials(&["0.0.0.0/0", "[::/0]", "[fc00::/7]", "100.64.0.0/10", "[fd00:ec2::/32]"], to),
            "{to}"
        );
    }
    // 0.0.0.0 and :: cannot be written as targets, and are judged all the same.
    for ip in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
        let to = TargetAddress::from(SocketAddr::new(ip.parse().unwrap(), 80));
        assert!(!permits(&["0.0.0.0/0", "[::/0]"]).may_dial(&to, Protocol::Tcp, &nobody), "{ip}");
    }
    assert!(dials(&["0.0.0.0/0"], "192.0.2.1:80") && dials(&["[::/0]"], "[2001:db8::1]:80"));
}

#[test]
fn an_entry_wholly_inside_opens_what_a_wide_one_does_not() {
    for (entry, to) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("127.0.0.0/8:80", "127.9.9.9:80"),
        ("localhost:80", "127.0.0.1:80"),
        ("localhost:80", "[::1]:80"),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80"),
        ("169.254.1.0/24:80", "169.254.1.1:80"),
        ("169.254.169.254:80", "169.254.169.254:80"),
        ("100.100.100.200:80", "100.100.100.200:80"),
        ("[fd00:ec2::254]:80", "[fd00:ec2::254]:80"),
        ("[fe80::/64]:80", "[fe80::1%eth0]:80"),
        ("[::1]:80", "[::1]:80"),
        ("[64:ff9b:1::/96]:80", "[64:ff9b:1::5]:80"),
    ] {
        assert!(dials(&[entry], to), "{entry} {to}");
    }
    assert!(!dials(&["169.254.0.0/16:80"], "169.254.169.254:80"), "the link is wider than the metadata");
}

#[test]
fn this_machines_own_addresses_are_dialled_only_by_themselves() {
    let own: IpAddr = "10.0.0.7".parse().unwrap();
    let is_own = |ip: IpAddr| ip == own;
    let dials = |entries: &[&str], to: &str| {
        let to: Run<TargetAddress> = to.parse().unwrap();
        permits(entries).may_dial(to.first(), Protocol::Tcp, &is_own)
    };

    assert!(!dials(&["10.0.0.0/8:22"], "10.0.0.7:22") && !dials(&["10.0.0.0/8:22"], "[::ffff:10.0.0.7]:22"));
    assert!(dials(&["10.0.0.0/8:22"], "10.0.0.8:22") && dials(&["10.0.0.7:22"], "10.0.0.7:22"));
}

#[test]
fn an_answer_is_judged_like_an_address_and_no_name_opens_what_is_closed() {
    let own: IpAddr = "10.0.0.7".parse().unwrap();
    let is_own = |ip: IpAddr| ip == own;
    let answers = |entries: &[&str], name: &str, answer: &str| {
        let answer: SocketAddr = answer.parse().unwrap();
        permits(entries).may_dial_answer(name, answer, Protocol::Tcp, &is_own)
    };
    let named = ["db.internal:5432"];

    assert!(
        answers(&named, "db.internal", "10.0.0.5:5432")
            && answers(&named, "DB.internal.", "[2001:db8::1]:5432")
    );
    assert!(!answers(&named, "db.internal", "10.0.0.5:5433") && !answers(&named, "other", "10.0.0.5:5432"));
    for closed in [
        "127.0.0.1:5432",
        "169.254.169.254:5432",
        "10.0.0.7:5432",
        "[64:ff9b::7f00:1]:5432",
        "[2002:a00:7::]:5432",
        "[::1]:5432",
        "0.0.0.0:5432",
    ] {
        assert!(!answers(&named, "db.internal", closed), "{closed}");
    }
    assert!(answers(&["db.internal:5432", "127.0.0.1:5432"], "db.internal", "127.0.0.1:5432"));
    assert!(
        !answers(&["10.0.0.0/8:5432"], "db.internal", "10.0.0.5:5432"),
        "only a written name is looked up"
    );
    assert!(
        answers(&["localhost:22"], "localhost", "127.0.0.1:22")
            && answers(&["localhost:22"], "localhost", "[::1]:22")
    );
    assert!(answers(&["db.localhost:22"], "db.localhost", "127.0.0.1:22"));
    assert!(!answers(&["localhost:22"], "localhost", "10.0.0.7:22"), "whatever a resolver says of localhost");
}
