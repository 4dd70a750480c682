use super::*;

/// Attributes as the kernel packs them.
fn pack(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, payload) in attributes {
        bytes.extend((4 + payload.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn be(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn expression(name: &str, data: &[(u16, &[u8])]) -> Vec<u8> {
    pack(&[(1, &[name.as_bytes(), &[0]].concat()), (2, &pack(data))])
}

/// `tcp dport 62893 counter packets 1 drop comment "hi"`, without the protocol.
fn rule() -> Vec<u8> {
    let load = expression("payload", &[(1, &be(1)), (2, &be(2)), (3, &be(2)), (4, &be(2))]);
    let value = pack(&[(1, &62893u16.to_be_bytes())]);
    let compare = expression("cmp", &[(1, &be(1)), (2, &be(0)), (3, &value)]);
    let counter = expression("counter", &[(1, &60u64.to_be_bytes()), (2, &1u64.to_be_bytes())]);
    let verdict = pack(&[(2, &pack(&[(1, &be(0))]))]);
    let drop = expression("immediate", &[(1, &be(0)), (2, &verdict)]);
    let list = pack(&[(1, &load), (1, &compare), (1, &counter), (1, &drop)]);
    let attributes = pack(&[
        (1, b"site\0"),
        (2, b"in\0"),
        (3, &4u64.to_be_bytes()),
        (4, &list),
        (7, &[0, 3, b'h', b'i', 0]),
    ]);
    [vec![1, 0, 0, 0], attributes].concat()
}

#[test]
fn a_rule_is_read_as_it_was_written() {
    let rule = read_rule(&rule()).unwrap();

    assert_eq!((rule.family, &rule.table[..], &rule.chain[..], rule.handle), (1, "site", "in", 4));
    assert_eq!(rule.comment.as_deref(), Some("hi"));
    assert_eq!(
        rule.expressions,
        [
            Expression::Load { load: Load::Payload { base: 2, offset: 2, length: 2 }, register: 1 },
            Expression::Compare { register: 1, operator: Operator::Equal, bytes: vec![0xf5, 0xad] },
            Expression::Counter { packets: 1 },
            Expression::Judge(Judgement::Drop),
        ]
    );
}

#[test]
fn every_truncation_of_a_rule_is_an_error_or_a_rule_and_never_a_crash() {
    let bytes = rule();

    for length in 0..bytes.len() {
        let cut = read_rule(&bytes[..length]);
        assert_eq!(cut.is_err(), length < NFGENMSG);
        let _ = (read_chain(&bytes[..length]), read_set(&bytes[..length]), read_elements(&bytes[..length]));
    }
    for length in 0..bytes.len() {
        let mut garbled = bytes.clone();
        garbled[length] ^= 0xff;
        let _ = (read_rule(&garbled), read_chain(&garbled), read_set(&garbled), read_elements(&garbled));
    }
}

#[test]
fn what_is_not_known_is_kept_by_its_name() {
    let unknown = expression("newthing", &[(1, &be(1))]);

    assert_eq!(super::reading::read(&unknown), Expression::Other("newthing".to_owned()));
    let broken = expression("cmp", &[(1, &be(1))]);
    assert_eq!(super::reading::read(&broken), Expression::Other("cmp".to_owned()));
}

#[test]
fn without_the_right_the_kernel_says_so() {
    match ruleset() {
        Ok(_) => {}
        Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
    }
}
