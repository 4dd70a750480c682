//! Limits that are tried and refuse nobody.

use std::collections::HashSet;
use std::time::Duration;

use loopgate::outcome::{End, Limit};

use super::{config, is_reset_at_once, proxy, seated, talk};
use crate::harness::datagrams::{EchoDatagrams, ask, client};
use crate::harness::{Connection, Target, wait_until};

#[test]
fn who_is_over_a_limit_is_served_and_the_record_says_which_limit() {
    let target = Target::echo();
    for (limits, limit) in [
        ("max_connections = 1", Limit::Connections),
        ("max_connections = 1\nwhen_full = 'queue'", Limit::Connections),
        ("max_connections = 1\nwhen_full = 'evict_idle'", Limit::Connections),
        ("max_connections_per_client = 1", Limit::PerClient),
        ("connection_rate = '1/h'", Limit::Rate),
        ("connection_rate_per_client = '1/h'", Limit::RatePerClient),
    ] {
        let proxy = proxy(target.address, &format!("{limits}\nlimits_dry_run = true"));
        let mut clients: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();
        clients.iter_mut().for_each(talk);
        drop(clients);

        let records: Vec<_> = (0..3).map(|_| proxy.record()).collect();

        let over: Vec<_> = records.iter().filter_map(|record| record.dry_run).collect();
        assert_eq!(over, [limit; 2], "{limits}");
        let shown = format!(" dry_run={}", limit.key());
        assert_eq!(
            records.iter().filter(|record| record.to_string().contains(&shown)).count(),
            2,
            "{limits}"
        );
    }
}

#[test]
fn who_was_let_in_over_a_limit_counts_once_the_limit_holds() {
    let target = Target::echo();
    let dry = config(target.address, "max_connections = 2\nlimits_dry_run = true");
    let proxy = proxy(target.address, "max_connections = 2\nlimits_dry_run = true");
    let mut clients: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();

    let listen = format!("listen = '{}'", proxy.address);
    let real = dry.replace("limits_dry_run = true", "").replace("listen = '127.0.0.1:0'", &listen);
    proxy.declare(&real).unwrap_or_else(|refused| panic!("{refused}"));

    clients.iter_mut().for_each(talk);
    assert!(is_reset_at_once(&proxy));
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::Connections));
    // Three are here where two may be.
    drop(clients.pop());
    wait_until("it has left", || (proxy.live().len() == 2).then_some(()));
    assert!(is_reset_at_once(&proxy));
}

#[test]
fn flows_over_a_limit_are_carried_and_their_records_say_so() {
    let echo = EchoDatagrams::start();
    let proxy =
        proxy(echo.address, "protocol = 'udp'\nmax_connections_per_client = 1\nlimits_dry_run = true");

    for _ in 0..3 {
        assert_eq!(ask(&client(proxy.address), b"here"), b"here");
    }

    proxy.stop(Duration::ZERO);
    let over: Vec<_> = (0..3).map(|_| proxy.record().dry_run).collect();
    assert_eq!(over.iter().flatten().count(), 2, "{over:?}");
    assert_eq!(over.into_iter().flatten().collect::<HashSet<_>>(), HashSet::from([Limit::PerClient]));
}
