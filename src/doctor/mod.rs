//! Examines every route of a configuration, and the machine it runs on, once.
//!
//! It changes nothing, repairs nothing and needs no async runtime. `diagnosis` judges each listener and each target;
//! this room collects the diagnoses into one report.

mod areas;
mod congestion;
mod render;
mod report;
mod tunnels;

pub use render::SCHEMA;
pub use report::{Area, Report};

use crate::diagnosis::Status;
use crate::plan::Plan;

/// Examines a plan and the machine. It dials each target (at most three connections each) and binds each listener's
/// address for a moment; it listens on none. Blocks for seconds if targets do not answer.
pub fn examine(source: &str, plan: &Plan) -> Report {
    Report { source: source.to_owned(), routes: plan.routes.len(), areas: areas::all(plan) }
}

/// The report for a configuration that could not be read: only the limits are examined.
pub fn unreadable(source: &str, problems: &str) -> Report {
    let mut config = Area::new("config", Status::Fail, "the configuration has problems");
    config.notes = problems.trim_end().lines().map(str::to_owned).collect();
    let rest = ["listeners", "targets", "loops", "exposure", "ports"];
    let rest = rest.map(|id| Area::new(id, Status::Skip, "not examined without a configuration"));
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

    /// A port without a TCP listener: a UDP socket holds it, so that no other test gets it from the kernel by chance.
    fn unused_port(udp: &UdpSocket) -> u16 {
        udp.local_addr().unwrap().port()
    }

    #[test]
    fn a_taken_listener_and_a_dead_target_are_reported_under_their_areas() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = format!(
            "[routes.web]\nlisten = \"127.0.0.1:{}\"\ntarget = \"127.0.0.1:{}\"\n",
            held.local_addr().unwrap().port(),
            unused_port(&udp)
        );

        let report = examined(&text);

        assert_eq!((status(&report, "listeners"), status(&report, "targets")), (Status::Fail, Status::Fail));
        assert_eq!((status(&report, "config"), status(&report, "loops")), (Status::Ok, Status::Ok));
        assert_eq!(report.severity(), Severity::Error);
        let text = report.text();
        assert!(text.contains("[fail] listeners") && text.contains("(route web)"), "{text}");
        assert!(text.ends_with("2 faults, no warning\n") || text.contains("2 faults, 1 warning"), "{text}");
    }

    #[test]
    fn without_a_configuration_the_other_areas_are_skipped() {
        let report = unreadable("x.toml", "x.toml:1:1: x: unknown table\n");

        assert_eq!(status(&report, "config"), Status::Fail);
        assert_eq!(status(&report, "targets"), Status::Skip);
        assert!(report.text().contains("unknown table"));
    }

    #[test]
    fn a_program_reads_the_same_areas() {
        let report = unreadable("x.toml", "");

        let json = report.json(std::time::SystemTime::UNIX_EPOCH).unwrap();

        assert_eq!(json["schema"], SCHEMA);
        assert_eq!(json["areas"].as_array().unwrap().len(), report.areas.len());
        assert_eq!((&json["healthy"], &json["areas"][0]["status"]), (&false.into(), &"fail".into()));
    }

    #[test]
    fn a_listener_whose_route_restricts_its_clients_is_no_warning() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = |allow: &str| {
            let target = unused_port(&udp);
            format!("[routes.web]\nlisten = '0.0.0.0:0'\ntarget = '127.0.0.1:{target}'\n{allow}\n")
        };

        let (open, guarded) = (examined(&text("")), examined(&text("allow = '192.0.2.0/24'")));

        assert_eq!(status(&guarded, "exposure"), Status::Ok);
        // A machine without a network exposes nothing in either case.
        let text = guarded.text();
        assert_eq!(
            status(&open, "exposure") == Status::Warn,
            text.contains("only to clients that allow or client_ca admits")
        );
    }
}
