use super::*;

fn rule(expressions: Vec<Expression>) -> Rule {
    Rule {
        family: 1,
        table: "site".to_owned(),
        chain: "in".to_owned(),
        handle: 4,
        expressions,
        comment: Some("corp\x1b[2J policy".to_owned()),
    }
}

fn load(load: Load) -> Expression {
    Expression::Load { load, register: 1 }
}

fn equal(bytes: &[u8]) -> Expression {
    Expression::Compare { register: 1, operator: Operator::Equal, bytes: bytes.to_vec() }
}

fn dport() -> Expression {
    load(Load::Payload { base: 2, offset: 2, length: 2 })
}

#[test]
fn a_rule_reads_as_nft_writes_it() {
    let rule = rule(vec![
        load(Load::Meta(16)),
        equal(&[6]),
        dport(),
        equal(&62893u16.to_be_bytes()),
        Expression::Counter { packets: 1 },
        Expression::Reject { kind: RejectKind::Reset, code: 0 },
    ]);

    let words = Firewall::default().words(&rule);

    assert_eq!(words, "tcp dport 62893 counter packets 1 reject with tcp reset");
    assert_eq!(place(&rule), "inet site/in handle 4");
    let installed = Firewall { programs: vec!["nft"], ..Firewall::default() };
    assert_eq!(installed.deletion(&rule).unwrap().join(" "), "nft delete rule inet site in handle 4");
    assert_eq!(Firewall::default().deletion(&rule), None);
    assert_eq!(counter(&rule), Some(1));
}

#[test]
fn a_comment_cannot_reach_the_terminal() {
    assert_eq!(comment(&rule(Vec::new())).as_deref(), Some("corp\\u{1b}[2J policy"));
}

#[test]
fn networks_states_names_and_sets_are_written_out() {
    let mut ports = Set {
        family: 1,
        table: "site".to_owned(),
        name: "__set0".to_owned(),
        intervals: true,
        concatenated: false,
        map: false,
        elements: Vec::new(),
        complete: true,
    };
    for (key, interval_end) in [(80u16, false), (81, true), (100, false), (201, true)] {
        let key = key.to_be_bytes().to_vec();
        ports.elements.push(Element {
            key,
            key_end: None,
            interval_end,
            catch_all: false,
            judgement: None,
            data: None,
        });
    }
    let firewall =
        Firewall { ruleset: Ruleset { sets: vec![ports], ..Ruleset::default() }, ..Firewall::default() };
    let mask = BitOperation::MaskXor { mask: 6u32.to_ne_bytes().to_vec(), xor: vec![0; 4] };
    let rule = rule(vec![
        load(Load::Meta(6)),
        equal(b"lo\0\0"),
        load(Load::Payload { base: 1, offset: 12, length: 1 }),
        equal(&[127]),
        load(Load::Connection { key: 0, reply: None }),
        Expression::Bits { from: 1, to: 1, length: 4, operation: mask },
        Expression::Compare { register: 1, operator: Operator::NotEqual, bytes: vec![0; 4] },
        dport(),
        Expression::Lookup { set: "__set0".to_owned(), register: 1, inverted: false, into: None },
        Expression::Judge(Judgement::Drop),
    ]);

    let words = firewall.words(&rule);

    assert_eq!(
        words,
        "iifname \"lo\" ip saddr 127.0.0.0/8 ct state established,related th dport { 80, 100-200 } drop"
    );
}

#[test]
fn the_writer_of_a_rule_is_known_by_its_chain() {
    let mut rule = rule(Vec::new());
    assert_eq!(owner(&rule), None);
    rule.chain = "ufw-user-input".to_owned();
    assert_eq!(owner(&rule), Some("ufw"));
}
