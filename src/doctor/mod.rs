//! Every route of a configuration and the machine around it, looked at once.
//!
//! It changes nothing, mends nothing, and needs no runtime. The judging is `diagnosis`'s; here it is asked about each
//! listener and each target, and the answers are put together.

mod areas;
mod report;
mod tell;

pub use report::{Area, Report};
pub use tell::SCHEMA;

use crate::diagnosis::Status;
use crate::plan::Plan;

/// Looks at a plan and at the machine. It dials each target (at most three connections each) and binds each listener's
/// address for a moment; it listens on none.
pub fn examine(source: &str, plan: &Plan) -> Report {
    Report { source: source.to_owned(), routes: plan.routes.len(), areas: areas::all(plan) }
}

/// The report over a configuration that could not be read.
pub fn unreadable(source: &str, problems: &str) -> Report {
    let mut config = Area::new("config", Status::Fail, "the configuration has problems");
    config.notes = problems.trim_end().lines().map(str::to_owned).collect();
    let rest = ["listeners", "targets", "loops", "exposure", "ports"];
    let rest = rest.map(|id| Area::new(id, Status::Skip, "not looked at without a configuration"));
    let mut areas = vec![config];
    areas.extend(rest);
    areas.push(areas::limits(None));
    Report { source: source.to_owned(), routes: 0, areas }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::diagnosis::Severity;
    use crate::plan;

    fn examined(text: &str) -> Report {
        let plan = plan::parse("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        examine("x.toml", &plan)
    }

    fn status(report: &Report, id: &str) -> Status {
        report.areas.iter().find(|area| area.id == id).unwrap().status
    }

    /// A port where nobody listens: a UDP socket has it, so that no test of TCP is given it by chance.
    fn nobodys(udp: &UdpSocket) -> u16 {
        udp.local_addr().unwrap().port()
    }

    #[test]
    fn a_taken_listener_and_a_dead_target_are_told_under_their_areas() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = format!(
            "[routes.web]\nlisten = \"127.0.0.1:{}\"\ntarget = \"127.0.0.1:{}\"\n",
            held.local_addr().unwrap().port(),
            nobodys(&udp)
        );

        let report = examined(&text);

        assert_eq!((status(&report, "listeners"), status(&report, "targets")), (Status::Fail, Status::Fail));
        assert_eq!((status(&report, "config"), status(&report, "loops")), (Status::Ok, Status::Ok));
        assert_eq!(report.severity(), Severity::Error);
        let told = report.text();
        assert!(told.contains("[fail] listeners") && told.contains("(route web)"), "{told}");
        assert!(told.ends_with("2 faults, no warning\n") || told.contains("2 faults, 1 warning"), "{told}");
    }

    #[test]
    fn without_a_configuration_the_rest_is_skipped_and_said_so() {
        let report = unreadable("x.toml", "x.toml:1:1: x: unknown table\n");

        assert_eq!(status(&report, "config"), Status::Fail);
        assert_eq!(status(&report, "targets"), Status::Skip);
        assert!(report.text().contains("unknown table"));
    }

    #[test]
    fn a_program_reads_the_same_areas() {
        let report = unreadable("x.toml", "");

        let told = report.json(std::time::SystemTime::UNIX_EPOCH).unwrap();

        assert_eq!(told["schema"], SCHEMA);
        assert_eq!(told["areas"].as_array().unwrap().len(), report.areas.len());
        assert_eq!((&told["healthy"], &told["areas"][0]["status"]), (&false.into(), &"fail".into()));
    }

    #[test]
    fn a_listener_whose_route_says_who_may_connect_is_no_warning() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = |allow: &str| {
            let target = nobodys(&udp);
            format!("[routes.web]\nlisten = '0.0.0.0:0'\ntarget = '127.0.0.1:{target}'\n{allow}\n")
        };

        let (open, guarded) = (examined(&text("")), examined(&text("allow = '192.0.2.0/24'")));

        assert_eq!(status(&guarded, "exposure"), Status::Ok);
        // Where the machine has no network, nothing is open anyway.
        let told = guarded.text();
        assert_eq!(
            status(&open, "exposure") == Status::Warn,
            told.contains("whom allow or client_ca lets in")
        );
    }
}
