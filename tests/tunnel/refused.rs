//! What an end asks the other for in vain: it reaches only what is offered to it.

use crate::harness::{ClosedPort, Connection, Target};
use crate::pair::Pair;

/// The routes of the accepting end: one that is offered in the tunnel, and one that is not.
fn offers(offered: &Target, hidden: &Target) -> String {
    format!(
        "[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{}\"\n[routes.hidden]\nlisten = \"127.0.0.1:0\"\ntarget = \
         \"{}\"\n",
        offered.address, hidden.address
    )
}

fn route(name: &str, port: &ClosedPort, to: &str) -> String {
    format!("[routes.{name}]\nlisten = \"{}\"\ntarget = \"tunnel:vps/{to}\"\n", port.address)
}

#[test]
fn a_route_that_is_not_offered_is_refused_as_one_that_does_not_exist() {
    let (offered, hidden) = (Target::echo(), Target::manual());
    let (db, other, none) = (ClosedPort::port(), ClosedPort::port(), ClosedPort::port());
    let routes =
        route("db", &db, "db") + &route("other", &other, "hidden") + &route("none", &none, "nothing");
    let mut pair = Pair::start("", &offers(&offered, &hidden), &routes);
    for name in ["db", "hidden", "nothing"] {
        pair.home.forwarding(&format!("tunnel:vps/{name}"));
    }

    for refused in [&other, &none] {
        assert!(Connection::is_reset_at_once("127.0.0.1", refused.address));
    }
    Connection::to(db.address).expect_whole_echo(1, 1000);

    let records = pair.home.recorded(3);
    for name in ["other", "none"] {
        let record = records.iter().find(|record| record["route"] == name).unwrap();
        let refused = (&"no_target".into(), &"tunnel_refused".into());
        assert_eq!((&record["end"], &record["cause"]), refused, "{record}");
    }
    assert!(hidden.try_accept().is_none(), "it was reached");
}

#[test]
fn an_address_is_dialled_there_only_where_it_is_permitted() {
    let (may, may_not) = (Target::echo(), Target::manual());
    let (yes, no) = (ClosedPort::port(), ClosedPort::port());
    let routes =
        route("yes", &yes, &may.address.to_string()) + &route("no", &no, &may_not.address.to_string());
    let mut pair = Pair::start(&format!("may_dial = [\"{}\"]", may.address), "", &routes);
    pair.home.forwarding(&format!("tunnel:vps/{}", may.address));
    pair.home.forwarding(&format!("tunnel:vps/{}", may_not.address));

    assert!(Connection::is_reset_at_once("127.0.0.1", no.address));
    Connection::to(yes.address).expect_whole_echo(1, 1000);

    let records = pair.home.recorded(2);
    let record = records.iter().find(|record| record["route"] == "no").unwrap();
    assert_eq!(record["cause"], "tunnel_refused", "{record}");
    assert!(may_not.try_accept().is_none(), "it was dialled");
}
