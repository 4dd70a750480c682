//! A draft is printed only once it is valid: settings and routes that `plan` rejects are withdrawn, and noted with its
//! messages.

use super::draft::{Draft, guards};
use super::message::At;
use super::print::print;
use crate::config::{Place, Problem};
use crate::plan;

/// The most rounds of withdrawing before the import fails; each round handles up to a hundred problems.
const MAX_TURNS: usize = 1_000;

/// The text of a valid configuration; `None` if no route is left.
pub(super) fn settle(draft: &mut Draft, file: &str, program: &str) -> Option<String> {
    several_targets(draft);
    for id in draft.ids() {
        let Some(route) = draft.route(id) else { continue };
        let at = route.at.clone();
        if route.listen.is_empty() {
            draft.leave_out(id, &at, "the route has no listen address left");
        } else if route.targets.is_empty() && route.names.is_empty() && route.alpn.is_empty() {
            draft.leave_out(id, &at, "the route has no target left");
        }
    }
    for _ in 0..MAX_TURNS {
        draft.routes().next()?;
        let text = print(draft, file, program);
        match plan::parse(file, &text, &[]) {
            Ok(_) => return Some(text),
            Err(problems) => {
                for problem in &problems.list {
                    withdraw(draft, problem, &text);
                }
            }
        }
    }
    None
}

/// If a route takes only one target, keeps the first.
fn several_targets(draft: &mut Draft) {
    if draft.knows("balance") {
        return;
    }
    for id in draft.ids() {
        let rest = draft.route(id).map(|route| route.targets.split_off(route.targets.len().min(1)));
        for target in rest.into_iter().flatten() {
            let at = target.at.unwrap_or_else(|| At::new(0, target.address));
            draft.lost(Some(id), &at, "in this version of Loopgate a route has one target");
        }
    }
}

fn withdraw(draft: &mut Draft, problem: &Problem, text: &str) {
    let why = match &problem.help {
        Some(help) => format!("{}; {help}", problem.message),
        None => problem.message.clone(),
    };
    let mut parts = problem.key.splitn(3, '.');
    let (table, name, key) =
        (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match table {
        Some("routes") => withdraw_from_route(draft, name, key, &why),
        Some("defaults") => {
            for id in draft.ids() {
                if let Some(route) = draft.route(id) {
                    let name = route.name.clone();
                    withdraw_from_route(draft, &name, name_of_default(&problem.key), &why);
                }
            }
        }
        Some("limits" | "log") => {
            let gone = draft.process.iter().position(|setting| setting.key == problem.key);
            if let Some(at) = gone.map(|gone| draft.process.remove(gone).at) {
                draft.lost(None, &at, why);
            }
        }
        _ => withdraw_by_line(draft, problem, text, &why),
    }
}

fn name_of_default(key: &str) -> &str {
    key.split_once('.').map_or("", |(_, key)| key)
}

/// A rejected setting is withdrawn alone; anything else that is rejected takes its route with it.
fn withdraw_from_route(draft: &mut Draft, name: &str, key: &str, why: &str) {
    let id = draft.ids().into_iter().find(|id| draft.route(*id).is_some_and(|route| route.name == name));
    let Some(id) = id else { return };
    let Some(route) = draft.route(id) else { return };
    let whole = route.at.clone();
    let found = route.settings.iter().position(|setting| setting.key == key);
    match found {
        Some(found) if !guards(key) => {
            let at = route.settings.remove(found).at;
            draft.lost(Some(id), &at, why);
        }
        Some(found) => {
            let at = route.settings[found].at.clone();
            draft.leave_out(id, &at, why);
        }
        None => draft.leave_out(id, &whole, why),
    }
}

/// Handles a problem without a key: withdraws the route whose lines contain it, or the first route if that is unclear.
fn withdraw_by_line(draft: &mut Draft, problem: &Problem, text: &str, why: &str) {
    let before = match &problem.place {
        Place::Text(span) => text.get(..span.start).unwrap_or(text),
        _ => text,
    };
    let above = before.lines().rev().find_map(|line| line.strip_prefix("[routes."));
    let named = above.and_then(|rest| rest.split(['.', ']']).next()).map(str::to_owned);
    let name = named.or_else(|| draft.routes().next().map(|route| route.name.clone()));
    withdraw_from_route(draft, &name.unwrap_or_default(), "", why);
}
