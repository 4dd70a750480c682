//! The words of a failed bind, in the report that shows them.

use super::diagnose::diagnose;
use super::samples::{failure, holder, listener, taken};
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::report::bind_report;

#[test]
fn a_report_names_route_holder_overlap_proof_and_remedy() {
    let facts = taken("127.0.0.1:8080", vec![(listener("0.0.0.0:8080", 9), vec![holder(7, "nginx")])]);

    let report = bind_report(&[Diagnosis { routes: vec!["web".to_owned()], ..diagnose(&facts) }]);

    assert_eq!(
        report,
        "error: cannot listen on 127.0.0.1:8080 (route web): taken by nginx (pid 7), which has every IPv4 address\n  \
         who     nginx --serve (pid 7), user ana, for 42 min, in /home/ana/shop\n  \
         how     listens on 0.0.0.0:8080: no other IPv4 address of the port is free\n  \
         proof   LISTEN 0.0.0.0:8080, inode 9 = /proc/7/fd/3, 0 waiting\n  \
         fix     kill 7; or listen on 127.0.0.1:8081, which is free now\n  \
         [port-held-by-wildcard, EADDRINUSE \"Address already in use\"]\n"
    );
}

#[test]
fn one_other_instance_behind_many_failures_is_reported_once() {
    let ours = crate::outcome::Holder { same_program: true, ..holder(7, "loopgate") };
    let failed = |address: &str, inode| {
        diagnose(&taken(address, vec![(listener(address, inode), vec![ours.clone()])]))
    };

    let report = bind_report(&[failed("127.0.0.1:80", 8), failed("127.0.0.1:443", 9)]);

    assert!(
        report.starts_with(
            "error: loopgate is already running (pid 7, for 42 min) and holds 127.0.0.1:80, 127.0.0.1:443\n"
        ),
        "{report}"
    );
    assert_eq!(report.matches("error:").count(), 1);
}

#[test]
fn no_kill_is_proposed_for_ourselves_or_for_init() {
    for stranger in
        [crate::outcome::Holder { this_process: true, ..holder(9, "loopgate") }, holder(1, "systemd")]
    {
        let facts = taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), vec![stranger])]);

        assert!(!bind_report(&[diagnose(&facts)]).contains("kill"));
    }
}

#[test]
fn every_report_is_short_however_many_failures_and_holders_there_are() {
    let many = (1..100).map(|pid| holder(pid + 1, "w")).collect();
    let one = diagnose(&taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), many)]));
    let thousand: Vec<_> = (0..1000).map(|_| diagnose(&failure("127.0.0.1:80", libc::EADDRINUSE))).collect();

    assert!(bind_report(&[one]).lines().count() <= 9);
    assert!(bind_report(&thousand).lines().count() <= 120);
}

#[test]
fn a_port_is_never_called_free_when_the_bind_failed() {
    let mut facts = failure("127.0.0.1:80", libc::EADDRINUSE);
    facts.next_free = None;

    let report = bind_report(&[diagnose(&facts)]);

    assert!(!report.contains("free") && report.contains("its holder is hidden"), "{report}");
}
