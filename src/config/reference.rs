//! The declarations of the keys as tables in Markdown: the middle of the page docs/reference/config.md.

use std::fmt::Write as _;

use super::key::{Form, Given, Key, Range, Reload};
use super::keys::{BANDWIDTH, CONNECTION_RATE, ROUTE, ROUTES, TARGET, TOP};
use crate::address::Protocol;

/// Every key with its values, its default and its purpose, one table for each table of the file; the many settings of
/// routes are grouped under further headings.
pub fn reference() -> String {
    let mut page = String::new();
    let [own, settings] = ROUTE.keys else { return page };
    let leaves = TOP.keys().filter(|key| !matches!(key.form, Form::Table(_) | Form::Named(_)));
    part(&mut page, "The file", "These keys stand above the first table.", leaves);
    part(
        &mut page,
        "Routes alone",
        "These keys of `[routes.NAME]` have no place in `[defaults]`.",
        own.iter(),
    );
    let of_targets =
        "A target is an address, or a table with these keys: `{ address = \"127.0.0.1:3000\", weight = 2 }`.";
    part(&mut page, "Targets", of_targets, TARGET.keys());
    let mut headings: Vec<&str> = Vec::new();
    let plain: Vec<&Key> = settings.iter().filter(|key| key.form.table().is_none()).collect();
    for key in &plain {
        if !headings.contains(&heading(key)) {
            headings.push(heading(key));
        }
    }
    for title in headings {
        part(&mut page, title, "", plain.iter().copied().filter(|key| heading(key) == title));
    }
    part(&mut page, "Connection rates as a table", CONNECTION_RATE.doc, CONNECTION_RATE.keys());
    part(&mut page, "Bandwidth as a table", BANDWIDTH.doc, BANDWIDTH.keys());
    for key in settings.iter().chain(TOP.keys()) {
        let title = match key.form {
            // The keys of the defaults and of routes were shown above.
            _ if ["defaults", ROUTES.name].contains(&key.name) => continue,
            Form::Named(_) => format!("`{}.NAME`", key.name),
            _ => format!("`{}`", key.name),
        };
        if let Form::Named(section) | Form::Table(section) = key.form {
            part(&mut page, &title, section.doc, section.keys());
        }
    }
    page
}

/// The heading of a setting of routes.
fn heading(key: &Key) -> &'static str {
    match key.only {
        _ if !key.topic.is_empty() => key.topic,
        None => "Every route",
        Some(Protocol::Tcp) => "TCP routes alone",
        Some(Protocol::Udp) => "UDP routes alone",
    }
}

fn part<'k>(page: &mut String, title: &str, intro: &str, keys: impl Iterator<Item = &'k Key>) {
    let intro = if intro.is_empty() { String::new() } else { format!("{intro}\n\n") };
    let _ = write!(page, "\n### {title}\n\n{intro}| key | values | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let restart = if key.reload == Reload::Restart { "; cannot change while running" } else { "" };
        let (values, default) = (values(key), default(key));
        let _ = writeln!(page, "| `{}` | {values} | {default} | {}{restart} |", key.name, key.doc);
    }
    if title == "`log`" {
        page.push('\n');
    }
}

/// What may be written, in a few words.
fn values(key: &Key) -> String {
    let takes = key.takes;
    let range = |kind: &str| match key.range {
        Range::Any => kind.to_owned(),
        range => format!("{kind}, {range}"),
    };
    match key.form {
        Form::Text | Form::AnyText => takes.to_owned(),
        Form::TextOrOff => format!("{takes}, `\"off\"`"),
        Form::Texts => format!("{takes}, list"),
        Form::TextsOrOff => format!("{takes}, list, `\"off\"`"),
        Form::Word(words) => {
            words().iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        Form::Time => range("time"),
        Form::TimeOrOff => range("time") + ", `\"off\"`",
        Form::Count => "1 or more".to_owned(),
        Form::CountOrOff => "1 or more, `\"off\"`".to_owned(),
        Form::NumberOrOff => "0 or more, `\"off\"`".to_owned(),
        Form::CountTo(most) => format!("1 to {most}"),
        Form::Truth => "true, false".to_owned(),
        Form::RateOrOff => "bandwidth, `\"off\"`".to_owned(),
        Form::BandwidthOrOff(_) => "bandwidth, table, `\"off\"`".to_owned(),
        Form::FrequencyOrOff => "rate, `\"off\"`".to_owned(),
        Form::AllowanceOrOff(_) => "rate, table, `\"off\"`".to_owned(),
        Form::FileMode => "as `chmod`".to_owned(),
        Form::Table(_) | Form::Named(_) => "table".to_owned(),
        Form::Targets(_) | Form::LikeTargets(_) => "target, list".to_owned(),
        Form::TargetsByWord(_) => format!("table: {takes} to target"),
    }
}

fn default(key: &Key) -> String {
    match key.default {
        Given::Nothing => "none".to_owned(),
        Given::Required("") => "required".to_owned(),
        Given::Required(unless) => format!("required, {unless}"),
        Given::Value(value) => format!("`{}`", key.form.quote(value)),
        Given::InWords(words) => words.to_owned(),
    }
}
