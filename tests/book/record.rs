//! The tables of the record's page name exactly the fields and codes there are.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use loopgate::ledger::{Record, TunnelCarrier};
use loopgate::outcome::{
    Agreed, Attempt, Cause, Datagrams, DropReason, Drops, End, Flow, Kernel, Limit, Outcome, Phase,
    SessionId, Side, Sides, Timing, Traffic, Way,
};

use crate::pages::{table, words};

const PAGE: &str = "docs/reference/record.md";

/// A record in which nothing is left out.
fn full(end: End) -> Record {
    let second = Duration::from_secs(1);
    let [client, target] = [51324, 3000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let lossy = Flow { read: 2, delivered: 1 };
    let mut drops = Drops::default();
    drops.add(DropReason::TooBig, 1);
    let (version, cipher) = ("TLSv1.3".into(), "TLS_AES_128_GCM_SHA256".into());
    let agreed = Box::new(Agreed { version, cipher, group: None, alpn: None, resumed: false });
    Record {
        route: "web".into(),
        target: "localhost:3000".into(),
        client: client.into(),
        via: Some(client.into()),
        id: SessionId([7; 10]),
        tunnel: "home".parse().ok(),
        carrier: Some(Box::new(TunnelCarrier { peer: target, carried: 1, waited: second })),
        far: true,
        name: Some("a.example".into()),
        client_tls: Some(agreed.clone()),
        target_tls: Some(agreed),
        no_close_notify: Some(Sides::Client),
        dry_run: Some(Limit::Rate),
        outcome: Outcome {
            end,
            phase: Phase::Relay,
            closed_by: Some(Side::Client),
            target: Some(target.into()),
            attempts: vec![Attempt { address: target.into(), took: second, cause: Some(Cause::Refused) }],
            traffic: Traffic { up: lossy, down: lossy },
            timing: Timing { connect: Some(second), first_byte: Some(second), total: second },
            way: Way::Splice,
            datagrams: Some(Box::new(Datagrams {
                up_dropped: drops,
                down_dropped: drops,
                target_dropped: 1,
                ..Datagrams::default()
            })),
            kernel: Some(Kernel::default()),
            hint: None,
        },
        count: 2,
    }
}

#[test]
fn the_table_of_fields_names_every_field_and_no_other() {
    let record = full(End::NoTarget(Cause::Refused));
    let text = record.to_string();
    let before_hint = text.split(" hint=").next().unwrap();
    let keys = before_hint.split(' ').map(|pair| pair.split('=').next().unwrap().to_owned());
    let text_keys: BTreeSet<String> = keys.chain(["hint".to_owned()]).collect();
    let json = serde_json::to_value(&record).unwrap();
    let json_keys: BTreeSet<String> = json.as_object().unwrap().keys().cloned().collect();

    let rows = table(PAGE, "text");
    let column = |n: usize| rows.iter().flat_map(|row| words(&row[n])).collect::<BTreeSet<String>>();

    assert_eq!(column(0), text_keys);
    assert_eq!(column(1), json_keys);
}

#[test]
fn the_table_of_ends_names_every_code_and_what_haproxy_calls_it() {
    let haproxy = |end: End| -> BTreeSet<String> {
        match end {
            End::NoTarget(_) => Cause::ALL.map(|cause| End::NoTarget(cause).haproxy().to_owned()).into(),
            End::Limited(_) => Limit::ALL.map(|limit| End::Limited(limit).haproxy().to_owned()).into(),
            end => [end.haproxy().to_owned()].into(),
        }
    };
    let wanted: Vec<_> = End::ALL.iter().map(|end| (end.code().to_owned(), haproxy(*end))).collect();

    let rows = table(PAGE, "`end`").into_iter();
    let told: Vec<_> =
        rows.map(|row| (words(&row[0]).concat(), words(&row[2]).into_iter().collect())).collect();

    assert_eq!(told, wanted);
}

#[test]
fn the_table_of_causes_says_where_the_problem_is() {
    let place = |cause: Cause| if cause.blames_target() { "target" } else { "ours" };
    let wanted = Cause::ALL.map(|cause| {
        let haproxy = format!("`{}`", End::NoTarget(cause).haproxy());
        (format!("`{}`", cause.code()), place(cause).to_owned(), haproxy)
    });

    let rows = table(PAGE, "`cause`");
    let told: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[2].clone(), row[3].clone())).collect();

    assert_eq!(told, wanted);
    assert!(rows.iter().all(|row| !row[4].is_empty()), "each has a remedy");
}

#[test]
fn the_table_of_dropped_datagrams_names_every_reason() {
    let wanted = DropReason::ALL.map(|why| why.code().to_owned()).to_vec();

    let rows = table(PAGE, "dropped");

    assert_eq!(rows.iter().map(|row| words(&row[0]).concat()).collect::<Vec<_>>(), wanted);
}
