//! The JSON of each message, what is refused, and that what is written is read back.

use proptest::prelude::*;

use super::samples::{dials, same_key};
use super::*;
use crate::address::Protocol;
use crate::transport::tunnel::frame::MAX_CONTENT;

fn text(message: &Message) -> String {
    String::from_utf8(encode(message)).unwrap()
}

fn read(json: &str) -> Result<Message, Malformed> {
    decode(json.as_bytes())
}

fn why(json: &str) -> String {
    read(json).unwrap_err().to_string()
}

fn route(name: &str, listen: &[&str]) -> WantedRoute {
    let listen = listen.iter().map(|&address| address.to_owned()).collect();
    WantedRoute { name: name.to_owned(), protocol: Protocol::Tcp, listen }
}

fn fate(name: &str, asked: Option<&str>, fate: Fate) -> RouteIs {
    RouteIs { name: name.to_owned(), asked: asked.map(str::to_owned), fate }
}

const DIGITS: &str = "07070707070707070707070707070707";
const TOKEN: Token = Token([7; 16]);

/// Each message beside its JSON.
fn each() -> Vec<(Message, String)> {
    let control = Hello::Control { software: "loopgate 0.1.0".into(), instance: TOKEN, features: vec![] };
    let welcome = Welcome {
        session: TOKEN,
        time: "2026-01-02T03:04:05Z".into(),
        name: "home".into(),
        you: "198.51.100.7:40112".into(),
        ping_s: 10,
        datagrams: None,
    };
    let routes = vec![route("web", &["0.0.0.0:8080"]), route("shop", &[])];
    let fates = vec![
        fate("web", Some("0.0.0.0:0"), Fate::Listening { address: "0.0.0.0:20417".into() }),
        fate("shop", None, Fate::Offered),
        fate("x", Some("8080"), Fate::Refused { code: RefusedCode::NotPermitted }),
    ];
    let of = |message, json: &str| (message, json.replace("DIGITS", DIGITS));
    vec![
        of(
            Message::Hello(control),
            r#"{"type":"hello","for":"control","software":"loopgate 0.1.0","instance":"DIGITS","features":[]}"#,
        ),
        of(
            Message::Hello(Hello::Carrier { session: TOKEN, opener: End::Accepting }),
            r#"{"type":"hello","for":"carrier","session":"DIGITS","opener":"accepting"}"#,
        ),
        of(
            Message::Hello(Hello::Probe { routes: vec![route("web", &["8080"])], dials: Vec::new() }),
            r#"{"type":"hello","for":"probe","routes":[{"name":"web","protocol":"tcp","listen":["8080"]}]}"#,
        ),
        of(
            Message::Welcome(welcome),
            r#"{"type":"welcome","session":"DIGITS","time":"2026-01-02T03:04:05Z","name":"home","you":"198.51.100.7:40112","ping_s":10}"#,
        ),
        of(
            Message::Bye(Bye { code: ByeCode::InUse, words: "since noon".into(), retry_ms: Some(500) }),
            r#"{"type":"bye","code":"in_use","words":"since noon","retry_ms":500}"#,
        ),
        of(
            Message::Routes(Routes { routes, more: false }),
            r#"{"type":"routes","routes":[{"name":"web","protocol":"tcp","listen":["0.0.0.0:8080"]},{"name":"shop","protocol":"tcp"}]}"#,
        ),
        of(
            Message::RoutesAre(RoutesAre { routes: fates, more: true }),
            r#"{"type":"routes_are","routes":[{"name":"web","asked":"0.0.0.0:0","state":"listening","address":"0.0.0.0:20417"},{"name":"shop","state":"offered"},{"name":"x","asked":"8080","state":"refused","code":"not_permitted"}],"more":true}"#,
        ),
        of(Message::Carry { ready: 6 }, r#"{"type":"carry","ready":6}"#),
        same_key(),
        dials()[0].clone(),
        dials()[1].clone(),
        of(
            Message::State(State { route: "web".into(), up: false, cause: Some("refused".into()) }),
            r#"{"type":"state","route":"web","target":"down","cause":"refused"}"#,
        ),
        of(
            Message::State(State { route: "web".into(), up: true, cause: None }),
            r#"{"type":"state","route":"web","target":"up"}"#,
        ),
    ]
}

#[test]
fn each_message_has_its_json() {
    for (message, json) in each() {
        assert_eq!(text(&message), json);
        assert_eq!(read(&json), Ok(message));
    }
}

#[test]
fn keys_and_messages_of_a_later_version_are_ignored() {
    for (message, json) in each() {
        let more = json.replacen('{', r#"{"later":{"x":[1,null,-2.5,true,"y"]},"#, 1);
        assert_eq!(read(&more), Ok(message), "{more}");
    }
    assert_eq!(read(r#"{"type":"later","x":1}"#), Ok(Message::Unknown));
    let bye = read(r#"{"type":"bye","code":"later"}"#).unwrap();
    assert_eq!(bye, Message::Bye(Bye { code: ByeCode::Other, words: String::new(), retry_ms: None }));
    let are = |fate: &str| read(&format!(r#"{{"type":"routes_are","routes":[{{"name":"a",{fate}}}]}}"#));
    let refused = are(r#""state":"refused","code":"later""#).unwrap();
    let other = fate("a", None, Fate::Refused { code: RefusedCode::Other });
    assert_eq!(refused, Message::RoutesAre(RoutesAre { routes: vec![other], more: false }));
    assert_eq!(are(r#""state":"later","x":1"#).unwrap(), refused);
}

#[test]
fn a_key_that_stands_twice_breaks_the_rules_wherever_it_stands() {
    for json in [
        r#"{"type":"carry","ready":1,"ready":1}"#,
        r#"{"type":"carry","type":"carry","ready":1}"#,
        r#"{"type":"carry","ready":1,"x":1,"x":1}"#,
        r#"{"type":"later","x":{"y":1,"y":2}}"#,
        r#"{"type":"later","x":[{"y":1,"\u0079":2}]}"#,
        r#"{"type":"routes","routes":[{"name":"a","protocol":"tcp","name":"b"}]}"#,
        r#"{"type":"routes_are","routes":[{"name":"a","state":"offered","state":"offered"}]}"#,
        r#"{"type":"hello","for":"probe","for":"probe"}"#,
    ] {
        assert!(why(json).contains("a key stands twice"), "{json}: {:?}", read(json));
    }
    let failed = br#"{"cause":"refused","cause":"refused"}"#;
    assert!(Failed::decode(failed).unwrap_err().to_string().contains("a key stands twice"));
}

#[test]
fn a_message_nests_up_to_its_limit() {
    let nested = |lists: usize| {
        read(&format!(r#"{{"type":"carry","ready":1,"x":{}{}}}"#, "[".repeat(lists), "]".repeat(lists)))
    };

    assert_eq!(nested(MAX_DEPTH - 1), Ok(Message::Carry { ready: 1 }));
    assert!(nested(MAX_DEPTH).unwrap_err().to_string().contains("it nests too deep"));
    assert!(nested(30_000).is_err());
}

#[test]
fn a_message_is_as_long_as_its_kind_may_be() {
    for (message, json) in each() {
        let padded = |length: usize| {
            let more = json.replacen('{', r#"{"x":"","#, 1);
            read(&more.replacen(r#""x":"""#, &format!(r#""x":"{}""#, "y".repeat(length - more.len())), 1))
        };
        let is_long = matches!(
            message,
            Message::Routes(_)
                | Message::RoutesAre(_)
                | Message::DialsAre(_)
                | Message::Hello(Hello::Control { .. } | Hello::Probe { .. })
        );
        let longest = if is_long { MAX_LONG } else { MAX_MESSAGE };

        assert_eq!(padded(longest), Ok(message));
        assert_eq!(padded(longest + 1), Err(Malformed::Long(longest + 1)));
    }
    assert_eq!(decode(&[b' '; MAX_LONG + 1]), Err(Malformed::Long(MAX_LONG + 1)));
}

#[test]
fn names_are_those_that_routes_can_have() {
    for wrong in ["", "web@home", "a b", "a\\n", "\\u001b[2J", "a\\u202eb", "a/b", &"x".repeat(65)] {
        for json in [
            r#"{"type":"routes","routes":[{"name":"NAME","protocol":"tcp"}]}"#,
            r#"{"type":"routes_are","routes":[{"name":"NAME","state":"offered"}]}"#,
            r#"{"type":"state","route":"NAME","target":"up"}"#,
            r#"{"type":"hello","for":"probe","routes":[{"name":"NAME","protocol":"tcp"}]}"#,
        ] {
            let refused = why(&json.replace("NAME", wrong));
            assert!(refused.contains("a name that no route has"), "{refused}");
        }
    }
    assert!(read(r#"{"type":"state","route":"8080","target":"up"}"#).is_ok());
}

#[test]
fn values_that_are_none_are_refused() {
    for (json, because) in [
        (r#"{"ready":1}"#, "missing field `type`"),
        (r#"["carry",1]"#, "it is no object"),
        (r#""carry""#, "it is no object"),
        ("", "it is no object"),
        (r#"{"type":"carry","ready":1} x"#, "trailing characters"),
        (r#"{"type":"carry","ready":65536}"#, "65536"),
        (r#"{"type":"carry","ready":-1}"#, "-1"),
        (r#"{"type":"state","route":"a","target":"sideways"}"#, "neither up nor down"),
        (r#"{"type":"state","route":"a","target":"down","cause":"a b"}"#, "no word"),
        (r#"{"type":"hello","for":"control","software":"x","instance":"12"}"#, "not 32 hexadecimal digits"),
        (
            r#"{"type":"routes_are","routes":[{"name":"a","state":"listening","address":"\u001b[2J"}]}"#,
            "an address that is none",
        ),
        (
            r#"{"type":"routes_are","routes":[{"name":"a","state":"listening","address":"8080"}]}"#,
            "not as it is printed",
        ),
        (
            r#"{"type":"routes_are","routes":[{"name":"a","state":"listening","address":"tunnel:a/1"}]}"#,
            "none",
        ),
        (r#"{"type":"welcome","session":"DIGITS","ping_s":1,"name":"a b"}"#, "a name that no tunnel has"),
    ] {
        let refused = why(&json.replace("DIGITS", DIGITS));
        assert!(refused.contains(because), "{json}: {refused}");
    }
}

#[test]
fn a_route_asks_for_so_many_addresses_and_no_more() {
    let asked = |count: usize, length: usize| {
        let address = "x".repeat(length);
        read(&text(&Message::Routes(Routes {
            routes: vec![route("a", &vec![&*address; count])],
            more: false,
        })))
    };

    assert!(asked(MAX_LISTEN, 255).is_ok());
    assert!(asked(MAX_LISTEN + 1, 1).unwrap_err().to_string().contains("more addresses"));
    assert!(asked(1, 256).unwrap_err().to_string().contains("too long"));
}

#[test]
fn what_is_said_of_a_fault_cannot_disturb_a_terminal() {
    let refused = why(&format!(r#"{{"type":"bye","code":7,"words":"{}"}}"#, "\\u001b[2J"));
    assert!(!refused.contains(char::is_control), "{refused:?}");
    let long = why(&format!(r#"{{"type":"hello","for":"{}"}}"#, "\\u001b".repeat(2000)));
    assert!(!long.contains(char::is_control) && long.len() < 3000, "{long:?}");
}

#[test]
fn words_are_cut_between_characters_and_shown_escaped() {
    let bye = |words: String| Bye { code: ByeCode::Stopping, words, retry_ms: None };
    // 199 bytes and a character of two.
    let long = "x".repeat(199) + "\u{e9}\u{e9}";

    let Message::Bye(read_back) = decode(&encode(&Message::Bye(bye(long.clone())))).unwrap() else {
        panic!()
    };
    let Message::Bye(sent_long) =
        read(&format!(r#"{{"type":"bye","code":"stopping","words":"{long}"}}"#)).unwrap()
    else {
        panic!()
    };

    assert_eq!((&*read_back.words, &*sent_long.words), (&long[..199], &long[..199]));
    assert_eq!(bye("a\u{1b}[2J".into()).shown(), "a\\u{1b}[2J");
    assert_eq!(Failed { cause: "refused".into(), words: "a\nb".into() }.shown(), "a\\nb");
}

#[test]
fn the_longest_failed_fits_its_frame() {
    let failed = Failed { cause: "c".repeat(32), words: "\u{1}".repeat(300) };

    let bytes = failed.encode();

    assert!(bytes.len() <= MAX_CONTENT, "{}", bytes.len());
    assert_eq!(Failed::decode(&bytes).unwrap().words, "\u{1}".repeat(MAX_WORDS));
    assert!(Failed::decode(&[b'{'; MAX_CONTENT + 1]).is_err());
}

fn any_message() -> impl Strategy<Value = Message> {
    let name = || "[a-zA-Z0-9_.-]{1,64}";
    let protocol = || prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let listen = prop::collection::vec(".{0,20}", 0..4);
    let wanted = (name(), protocol(), listen).prop_map(|(name, protocol, listen)| WantedRoute {
        name,
        protocol,
        listen,
    });
    let hello = prop_oneof![
        (".{0,30}", any::<[u8; 16]>(), prop::collection::vec(".{0,9}", 0..3)).prop_map(
            |(software, instance, features)| Hello::Control { software, instance: Token(instance), features }
        ),
        (any::<[u8; 16]>(), any::<bool>()).prop_map(|(session, dialling)| Hello::Carrier {
            session: Token(session),
            opener: if dialling { End::Dialling } else { End::Accepting },
        }),
    ];
    prop_oneof![
        hello.prop_map(Message::Hello),
        (any::<[u8; 16]>(), ".{0,20}", name(), ".{0,20}", any::<u16>()).prop_map(
            |(session, time, name, you, ping_s)| Message::Welcome(Welcome {
                session: Token(session),
                time,
                name,
                you,
                ping_s,
                datagrams: None
            })
        ),
        (".{0,50}", any::<Option<u32>>()).prop_map(|(words, retry_ms)| Message::Bye(Bye {
            code: ByeCode::Overload,
            words,
            retry_ms
        })),
        (prop::collection::vec(wanted, 0..5), any::<bool>())
            .prop_map(|(routes, more)| Message::Routes(Routes { routes, more })),
        any::<u16>().prop_map(|ready| Message::Carry { ready }),
        (".{0,40}", ".{0,40}").prop_map(|(from, since)| Message::SameKey(SameKey { from, since })),
        (name(), any::<bool>(), prop::option::of("[a-z_]{1,32}"))
            .prop_map(|(route, up, cause)| Message::State(State { route, up, cause })),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(message in any_message()) {
        prop_assert_eq!(decode(&encode(&message)), Ok(message));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (decode(&bytes), Failed::decode(&bytes));
    }

    #[test]
    fn what_is_nearly_a_message_is_refused_or_has_one_form(
        (which, slips) in (any::<prop::sample::Index>(),
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..4)),
    ) {
        let all = each();
        let mut bytes = all[which.index(all.len())].1.clone().into_bytes();
        for (at, byte, how) in slips {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        match decode(&bytes) {
            Ok(Message::Unknown) => {}
            Ok(message) => prop_assert_eq!(decode(&encode(&message)), Ok(message)),
            Err(wrong) => prop_assert!(!wrong.to_string().contains(char::is_control)),
        }
    }
}
