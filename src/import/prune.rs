//! A draft is printed only once it is valid: settings and routes that `plan` rejects are withdrawn, and noted with its
//! messages.

use super::draft::{Draft, guards};
use super::message::At;
use super::print::{print, quoted};
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
    // Who may write the imported file says nothing about the file that the tunnels are to stand in.
    let checked_as = if draft.links.all.is_empty() { file } else { "" };
    for _ in 0..MAX_TURNS {
        if draft.routes().next().is_none() && !draft.links.stand_alone() {
            return None;
        }
        let text = print(draft, file, program);
        let Err(problems) = plan::parse(checked_as, &text, &[]) else { return Some(text) };
        let mut wrong = problems.list.iter().filter(|problem| !is_about_keys(problem)).peekable();
        if wrong.peek().is_none() {
            return Some(text);
        }
        for problem in wrong {
            withdraw(draft, problem, &text);
        }
    }
    None
}

/// Whether a problem is that a key is still to be made, or to be pasted: no file of another program has it.
pub(super) fn is_about_keys(problem: &Problem) -> bool {
    let of_other_end = problem.key.strip_prefix("tunnels.").and_then(|rest| rest.strip_suffix(".public_key"));
    problem.key == "tunnel.private_key" || of_other_end.is_some()
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
        Some("tunnel") => {
            if let Some((_, at)) = draft.links.listen.take() {
                draft.lost(None, &at, why);
            }
        }
        Some("tunnels") => withdraw_from_link(draft, name, key, problem, text, &why),
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

/// A rejected entry or setting of a tunnel is withdrawn alone; anything else that is rejected takes the tunnel with it.
fn withdraw_from_link(draft: &mut Draft, name: &str, key: &str, problem: &Problem, text: &str, why: &str) {
    let Some(at) = draft.links.all.iter().position(|link| link.name == name) else { return };
    let link = &mut draft.links.all[at];
    let lost = match key {
        "may_listen" => {
            let entry = match &problem.place {
                Place::Text(span) => text.get(span.clone()).unwrap_or_default(),
                _ => "",
            };
            let found = link.may_listen.iter().position(|(may, _)| quoted(may) == entry);
            found.or(link.may_listen.len().checked_sub(1)).map(|found| link.may_listen.remove(found).1)
        }
        key => {
            let found = link.settings.iter().position(|setting| setting.key == key);
            found.map(|found| link.settings.remove(found).at)
        }
    };
    let at = lost.unwrap_or_else(|| draft.links.all.remove(at).at);
    draft.lost(None, &at, why);
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
