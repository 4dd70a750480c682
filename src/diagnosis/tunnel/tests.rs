//! Each verdict from the facts that prove it, and which fault comes first.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::address::Protocol;
use crate::diagnosis::{Severity, Status, block, screen};

fn facts(end: TryEnd) -> TunnelFacts {
    let offer = |route: &str, protocol, listen: &[&str]| Offer {
        route: route.into(),
        protocol,
        listen: listen.iter().map(|it| (*it).into()).collect(),
    };
    let peer: SocketAddr = "198.51.100.1:4433".parse().unwrap();
    TunnelFacts {
        name: "vps".into(),
        connect: vec!["vps.example.com:4433".into()],
        own_key: "ed25519:OWN".into(),
        machine: "laptop".into(),
        their_keys: vec!["ed25519:THEIRS".into()],
        offers: vec![
            offer("web", Protocol::Tcp, &["0.0.0.0:8080"]),
            offer("game", Protocol::Udp, &["0.0.0.0:27015"]),
        ],
        tries: vec![Try {
            to: "vps.example.com:4433".into(),
            resolved: Some((vec![peer], Duration::from_millis(12))),
            connected: Some((peer, Duration::from_millis(21))),
            end,
        }],
        ..TunnelFacts::default()
    }
}

fn let_in(listens: &[(&str, Option<&str>, Fate)]) -> LetIn {
    let listen = |(route, asked, fate): &(&str, Option<&str>, Fate)| Listen {
        route: (*route).into(),
        asked: asked.map(Into::into),
        fate: fate.clone(),
    };
    LetIn {
        key: "ed25519:THEIRS".into(),
        name: Some("home".into()),
        seen: "203.0.113.9:42258".into(),
        rtt: Duration::from_millis(43),
        control: None,
        listens: listens.iter().map(listen).collect(),
        beyond: Vec::new(),
        unasked: 0,
    }
}

fn refused(fate: Fate) -> TryEnd {
    TryEnd::LetIn(Box::new(let_in(&[("shop", None, Fate::Offered), ("web", Some("0.0.0.0:8080"), fate)])))
}

fn certificate(is_for_host: bool, known: Issuer) -> TryEnd {
    let (name, issuer) = ("vps.example.com".into(), "Inspecting CA".into());
    TryEnd::NoKey(Some(Shown { name, is_for_host, issuer, known }))
}

fn elsewhere(verdict: Verdict, summary: &str) -> Diagnosis {
    let subject = Subject::Tcp("127.0.0.1:62893".parse().unwrap());
    let mut diagnosis = Diagnosis::new(Question::Reach, subject, verdict, Certainty::Likely);
    diagnosis.summary = summary.into();
    diagnosis
}

/// The verdict, its certainty, and its block in one text.
fn judged(end: TryEnd) -> (Verdict, Certainty, String) {
    let diagnosis = diagnose(&facts(end));
    (diagnosis.verdict, diagnosis.certainty, block(&diagnosis))
}

/// Ways to end a try, each with its verdict and words of its block.
type Ways<'w> = &'w [(TryEnd, Verdict, Certainty, &'w [&'w str])];

fn each_is(ways: Ways<'_>) {
    for (end, verdict, certainty, said) in ways {
        let found = judged(end.clone());
        assert_eq!((found.0, found.1), (*verdict, *certainty), "{}", found.2);
        for words in *said {
            assert!(found.2.contains(words), "{words:?} is not in\n{}", found.2);
        }
    }
}

#[test]
fn what_is_no_loopgate_is_told_from_what_stands_in_its_way() {
    use Certainty::{Likely, Proven};
    let words = |protocol: Option<&str>, words: &str| TryEnd::NotTls {
        protocol: protocol.map(Into::into),
        words: words.into(),
    };

    each_is(&[
        (
            words(Some("SSH"), "SSH-2.0-OpenSSH_9.2"),
            Verdict::TunnelNotLoopgate,
            Proven,
            &["speaks SSH: it is no Loopgate", "it said \"SSH-2.0-OpenSSH_9.2\"", "correct `connect`"],
        ),
        (words(None, "\\u{1}"), Verdict::TunnelNotLoopgate, Proven, &["speaks no TLS: it is no Loopgate"]),
        (TryEnd::NoKey(None), Verdict::TunnelNotLoopgate, Proven, &["speaks TLS and proves no key"]),
        (
            certificate(true, Issuer::Public),
            Verdict::TunnelNotLoopgate,
            Proven,
            &[
                "a TLS server with a certificate",
                "certificate for vps.example.com",
                "an authority that this machine trusts",
            ],
        ),
        (certificate(true, Issuer::Itself), Verdict::TunnelNotLoopgate, Proven, &["which is itself"]),
        (certificate(false, Issuer::Unknown), Verdict::TunnelNotLoopgate, Proven, &["does not know"]),
        (
            certificate(true, Issuer::Added),
            Verdict::TunnelIntercepted,
            Likely,
            &["TLS to vps.example.com:4433 is read on the way", "by Inspecting CA", "added to this machine"],
        ),
        (certificate(true, Issuer::Unknown), Verdict::TunnelIntercepted, Likely, &["exempted from TLS"]),
    ]);
}

#[test]
fn each_way_to_end_a_try_has_its_verdict_and_says_what_to_do() {
    use Certainty::{Likely, Proven, Unknown};
    let proxy = |status| TryEnd::ProxyRefused { words: "the proxy answers no".into(), status };

    each_is(&[
        (
            TryEnd::WrongKey("ed25519:OTHER".into()),
            Verdict::TunnelWrongKey,
            Proven,
            &[
                "  has     ed25519:OTHER",
                "  wants   ed25519:THEIRS",
                "loopgate tunnel key --public",
                "[tunnels.vps]",
            ],
        ),
        (
            TryEnd::UnknownThere,
            Verdict::TunnelKeyUnknownThere,
            Proven,
            &["  there   [tunnels.laptop]\n          public_key = \"ed25519:OWN\"\n          may_listen = \
                 [\"0.0.0.0:27015/udp\", \"0.0.0.0:8080\"]\n  fix     add these lines to the file there"],
        ),
        (
            TryEnd::Version { has_key: true },
            Verdict::TunnelVersion,
            Proven,
            &["it has the key", "loopgate/1"],
        ),
        (TryEnd::Version { has_key: false }, Verdict::TunnelVersion, Likely, &["shows no certificate"]),
        (
            TryEnd::InUse("from 192.0.2.7:1".into()),
            Verdict::TunnelInUse,
            Proven,
            &["from 192.0.2.7:1", "make a key on each machine"],
        ),
        (proxy(Some(407)), Verdict::TunnelProxyRefused, Proven, &["the proxy answers no", "USER:PASSWORD@"]),
        (proxy(Some(403)), Verdict::TunnelProxyRefused, Proven, &["port 443"]),
        (proxy(None), Verdict::TunnelProxyRefused, Proven, &["who runs the proxy"]),
        (TryEnd::Silent(None), Verdict::Unknown, Unknown, &["answers no handshake"]),
        (TryEnd::Closed, Verdict::Unknown, Unknown, &["closes it without a handshake"]),
        (TryEnd::Other("it broke".into()), Verdict::Unknown, Unknown, &["4433: it broke"]),
        (
            TryEnd::Unreached(Box::new(elsewhere(Verdict::FirewallDrop, "a rule drops it"))),
            Verdict::FirewallDrop,
            Likely,
            &["vps.example.com:4433: a rule drops it"],
        ),
    ]);
}

#[test]
fn what_is_refused_there_says_what_to_do_there() {
    for (fate, verdict, said) in [
        (
            Fate::NotPermitted,
            Verdict::TunnelNotPermitted,
            "does not permit 0.0.0.0:8080 (route web)\n  there   [tunnels.home]\n          may_listen = [\"0.0.0.0:27015/udp\", \
             \"0.0.0.0:8080\"]\n",
        ),
        (Fate::TooMany, Verdict::TunnelNotPermitted, "raise max_listeners there"),
        (Fate::Held, Verdict::TunnelPortHeld, "ask there: loopgate explain 8080 --listen"),
        (Fate::NotThere, Verdict::AddressNotLocal, "no interface at the other end has 0.0.0.0:8080"),
        (Fate::Privileged, Verdict::PortPrivileged, "no right to listen on 0.0.0.0:8080"),
        (Fate::Other("its log says more"), Verdict::Unknown, "8080 (route web): its log says more"),
    ] {
        let (found, _, text) = judged(refused(fate));
        assert_eq!(found, verdict, "{text}");
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
}

#[test]
fn the_first_fault_on_the_way_wins_and_what_works_is_listed() {
    let mut all = facts(refused(Fate::Held));
    all.targets.push(TargetHere {
        route: "web".into(),
        found: Box::new(elsewhere(Verdict::TargetNotRunning, "nothing listens there")),
    });
    let TryEnd::LetIn(let_in) = &mut all.tries[0].end else { panic!() };
    let control = Control { from: "192.0.2.7:1".into(), since: "today".into(), may_be_ours: Some(false) };
    let_in.control = Some(control);

    assert_eq!(diagnose(&all).verdict, Verdict::TunnelInUse);
    assert_eq!(diagnose(&all).certainty, Certainty::Likely, "a container has connections of its own");
    // This machine's own process.
    let TryEnd::LetIn(let_in) = &mut all.tries[0].end else { panic!() };
    let_in.control.as_mut().unwrap().may_be_ours = Some(true);
    let held = diagnose(&all);
    assert_eq!(held.verdict, Verdict::TunnelPortHeld);
    let checks: Vec<_> = held.checks.iter().map(|it| (it.id, it.status == Status::Ok)).collect();
    assert_eq!(
        checks,
        [
            ("key", true),
            ("name", true),
            ("tcp", true),
            ("loopgate", true),
            ("their_key", true),
            ("let_in", true),
            ("control", true),
            ("listen", true),
            ("listen", false),
            ("target", false)
        ]
    );
    all.tries[0].end = refused(Fate::May("0.0.0.0:8080".into()));
    let target = diagnose(&all);
    assert_eq!(target.verdict, Verdict::TargetNotRunning);
    assert_eq!(target.summary, "route web, 127.0.0.1:62893: nothing listens there");
    all.targets.clear();
    assert_eq!(diagnose(&all).verdict, Verdict::Healthy);
}

#[test]
fn an_address_that_does_not_answer_is_a_warning_where_the_next_one_does() {
    let mut both = facts(TryEnd::Unreached(Box::new(elsewhere(Verdict::TargetNotRunning, "refused"))));
    both.tries[0].connected = None;
    both.tries.extend(facts(refused(Fate::Offered)).tries);

    let diagnosis = diagnose(&both);

    assert_eq!(diagnosis.verdict, Verdict::Healthy);
    let tcp: Vec<Status> = diagnosis.checks.iter().filter(|it| it.id == "tcp").map(|it| it.status).collect();
    assert_eq!(tcp, [Status::Warn, Status::Ok]);
}

#[test]
fn an_end_that_is_connected_to_is_looked_at_from_its_own_side() {
    let waits = |found: Option<Found>, exposed: Option<&str>| {
        let listener = found.map(|found| Listener { address: "0.0.0.0:4433".into(), found });
        let all = TunnelFacts {
            connect: Vec::new(),
            tries: Vec::new(),
            listeners: Some(listener.into_iter().collect()),
            exposed: exposed.map(Into::into),
            ..facts(TryEnd::Closed)
        };
        diagnose(&all)
    };

    assert_eq!(waits(Some(Found::Ours), None).verdict, Verdict::Healthy);
    let nobody = waits(Some(Found::Nobody), None);
    assert_eq!(nobody.verdict, Verdict::TargetNotRunning);
    assert!(nobody.summary.starts_with("nothing listens on 0.0.0.0:4433"), "{}", nobody.summary);
    assert!(waits(None, None).summary.contains("[tunnel] has no `listen`"));
    let held = elsewhere(Verdict::PortHeld, "taken by nginx");
    let held = waits(Some(Found::Other(Box::new(held))), None);
    assert_eq!(
        (held.verdict, &*held.summary),
        (Verdict::PortHeld, "the tunnel listener 0.0.0.0:4433: taken by nginx")
    );

    let open = waits(Some(Found::Ours), Some("may_listen opens 0.0.0.0:8080"));
    assert_eq!((open.verdict, open.severity()), (Verdict::TunnelExposed, Severity::Warning));
    let screen = screen(&open, "");
    assert!(screen.contains("fix     write allow under [tunnels.vps.defaults]"), "{screen}");
}

#[test]
fn what_only_the_other_end_knows_is_not_called_healthy() {
    let mut all = facts(refused(Fate::Offered));
    all.there = Some("tunnel:vps/db".into());

    let diagnosis = diagnose(&all);

    assert_eq!((diagnosis.verdict, diagnosis.severity()), (Verdict::Unknown, Severity::Unclear));
    assert!(diagnosis.summary.starts_with("tunnel:vps/db is at the other end"), "{}", diagnosis.summary);
}

#[test]
fn what_is_dialled_there_is_judged_by_what_the_other_end_says_of_it() {
    let judged = |is_route: bool, reached: Reached| {
        let what = if is_route { "db" } else { "10.0.0.5:5432" };
        let to = format!("tunnel:vps/{what}");
        let mut all = facts(refused(Fate::Offered));
        let TryEnd::LetIn(let_in) = &mut all.tries[0].end else { panic!() };
        let one = Beyond { to: to.clone(), what: what.into(), is_route, protocol: Protocol::Tcp, reached };
        let_in.beyond.push(one);
        all.there = Some(to);
        let diagnosis = diagnose(&all);
        (diagnosis.verdict, block(&diagnosis))
    };

    assert_eq!(judged(true, Reached::May).0, Verdict::Healthy);
    assert_eq!(judged(true, Reached::Unasked).0, Verdict::Unknown);
    let (verdict, text) = judged(true, Reached::Refused);
    assert_eq!(verdict, Verdict::TunnelNotPermitted);
    assert!(text.contains("  there   [routes.db]\n          listen = \"tunnel:home\"\n"), "{text}");
    let (verdict, text) = judged(false, Reached::Refused);
    assert_eq!(verdict, Verdict::TunnelNotPermitted);
    assert!(text.contains("[tunnels.home]\n          may_dial = [\"10.0.0.5:5432\"]\n"), "{text}");
    let (verdict, text) = judged(true, Reached::Down("refused".into()));
    assert_eq!(verdict, Verdict::TargetNotRunning);
    assert!(text.contains("tunnel:vps/db: its target is down there: refused"), "{text}");
    assert_eq!(judged(true, Reached::Down("timed_out".into())).0, Verdict::Unknown);
}

#[test]
fn a_name_that_is_no_bare_key_is_quoted_in_the_lines_to_paste() {
    let mut all = facts(refused(Fate::NotPermitted));
    let TryEnd::LetIn(let_in) = &mut all.tries[0].end else { panic!() };
    let_in.name = Some("home.example".into());

    assert!(block(&diagnose(&all)).contains("[tunnels.\"home.example\"]"));
}
