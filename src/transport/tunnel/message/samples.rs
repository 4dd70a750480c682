//! The messages of a probe, each beside its JSON.

use super::{DialIs, DialTo, DialsAre, Hello, Message, SameKey, WantedDial};
use crate::address::Protocol;

pub(super) fn same_key() -> (Message, String) {
    let message = SameKey { from: "192.0.2.7:40112".into(), since: "2026-01-02T03:04:05Z".into() };
    let json = r#"{"type":"same_key","from":"192.0.2.7:40112","since":"2026-01-02T03:04:05Z"}"#;
    (Message::SameKey(message), json.into())
}

pub(super) fn dials() -> [(Message, String); 2] {
    let to = |to: DialTo| WantedDial { to, protocol: Protocol::Tcp };
    let (db, at) = (to(DialTo::Service("db".into())), to(DialTo::Address("10.0.0.5:5432".into())));
    let probe = Hello::Probe { routes: Vec::new(), dials: vec![db.clone(), at.clone()] };
    let are = DialsAre {
        dials: vec![
            DialIs { of: db, may: true, cause: Some("refused".into()) },
            DialIs { of: at, may: false, cause: None },
        ],
    };
    let json = [
        r#"{"type":"hello","for":"probe","routes":[],"dials":[{"service":"db","protocol":"tcp"},{"address":"10.0.0.5:5432","protocol":"tcp"}]}"#,
        r#"{"type":"dials_are","dials":[{"service":"db","protocol":"tcp","may":true,"cause":"refused"},{"address":"10.0.0.5:5432","protocol":"tcp","may":false}]}"#,
    ];
    [(Message::Hello(probe), json[0].into()), (Message::DialsAre(are), json[1].into())]
}
