//! Which congestion control sockets on loopback get, and whether the kernel lets this process set it.

use std::collections::BTreeMap;

use super::report::Area;
use crate::address::ListenAddress;
use crate::diagnosis::Status;
use crate::plan::{Carries, Plan, Route};
use crate::probe::system::congestion::{ALLOWED, try_control};
use crate::transport::{Destination, paces};

/// `host` is the host's default, if known; `None` if no route has TCP sockets.
pub(super) fn congestion(plan: &Plan, host: Option<&str>) -> Option<Area> {
    let mut by_control = BTreeMap::<Option<&str>, Vec<String>>::new();
    for route in plan.routes.values().filter(|route| has_tcp_sockets(route)) {
        by_control.entry(route.dial.from.congestion.name()).or_default().push(route.name.to_string());
    }
    let refused: Vec<&str> =
        by_control.keys().flatten().copied().filter(|name| try_control(name).is_err()).collect();
    let text = |name: Option<&str>| match name.filter(|name| refused.contains(name)) {
        Some(name) => format!("the kernel does not let this process set {name}: the host's default stays"),
        None => said(name, host),
    };
    let mut area = match by_control.first_key_value() {
        None => return None,
        Some((name, _)) if by_control.len() == 1 => Area::new("congestion", Status::Ok, text(*name)),
        Some(_) => {
            let default = format!("the host's default is {}", host.unwrap_or("unknown"));
            let mut area = Area::new("congestion", Status::Ok, default);
            let each =
                by_control.iter().map(|(name, routes)| format!("{}: {}", routes.join(", "), text(*name)));
            area.notes = each.collect();
            area
        }
    };
    for name in &refused {
        area.status = Status::Warn;
        area.notes.push(format!("to let every process set it, add {name} to {ALLOWED} with sysctl"));
    }
    Some(area)
}

fn has_tcp_sockets(route: &Route) -> bool {
    let listens = route.listen.iter().any(|address| matches!(address, ListenAddress::Net(_)));
    let dials = |to: Destination| to.dialled().is_some_and(|address| address.net().is_some());
    matches!(route.carries, Carries::Tcp(_)) && (listens || route.every_target().any(dials))
}

/// What becomes of the sockets of routes for which this control is chosen.
fn said(name: Option<&str>, host: Option<&str>) -> String {
    match (name, host) {
        (Some(name), Some(host)) if name != host && paces(host) => {
            format!("{name} on loopback, where the host's default, {host}, would pace every segment")
        }
        (Some(name), Some(host)) => format!("{name} on loopback; the host's default is {host}"),
        (Some(name), None) => format!("{name} on loopback; the host's default is unknown"),
        (None, Some(host)) if paces(host) => {
            format!("the host's default, {host}, on loopback as well, where it paces (congestion = \"off\")")
        }
        (None, Some(host)) => format!("the host's default, {host}, which does not pace loopback"),
        (None, None) => "the host's default, which is unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    fn told(routes: &str, host: &str) -> Option<(Status, String, Vec<String>)> {
        let plan = parse("f.toml", routes, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        congestion(&plan, Some(host)).map(|area| (area.status, area.text, area.notes))
    }

    #[test]
    fn it_says_what_sockets_on_loopback_get_and_why() {
        let off = "routes.a = {listen='1', target='2', congestion='off'}\n";
        let named = "routes.b = {listen='3', target='4', congestion='reno'}\n";

        let (_, text, notes) = told(off, "bbr").unwrap();
        assert_eq!(
            (&*text, notes.len()),
            ("the host's default, bbr, on loopback as well, where it paces (congestion = \"off\")", 0)
        );
        assert_eq!(told(off, "cubic").unwrap().1, "the host's default, cubic, which does not pace loopback");
        let (status, text, notes) = told(named, "bbr3").unwrap();
        assert_eq!((status, notes.len()), (Status::Ok, 0), "{notes:?}");
        assert_eq!(text, "reno on loopback, where the host's default, bbr3, would pace every segment");

        let (_, text, notes) = told(&format!("{off}{named}"), "cubic").unwrap();
        assert_eq!(text, "the host's default is cubic");
        assert_eq!(notes[1], "b: reno on loopback; the host's default is cubic");
    }

    #[test]
    fn routes_without_tcp_sockets_have_no_such_area() {
        let text = "routes.a = {listen='1', target='2', protocol='udp'}\nroutes.b = {listen='unix:/a', target='unix:/b'}";

        assert_eq!(told(text, "bbr"), None);
    }
}
