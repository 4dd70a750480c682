//! A draft → TOML with comments: where each route comes from, and what was not carried over.

use std::fmt::Write;

use super::draft::{Draft, Route, Setting, Target, Toml};
use super::link::{Link, PASTE};

/// From this many routes on, keys with the same value in every route move to `[defaults]`.
const SHARED_BY: usize = 2;

/// The text of the configuration.
pub(super) fn print(draft: &Draft, file: &str, program: &str) -> String {
    let shared = shared(draft);
    let mut out = format!("# Imported from {file} ({program}) by loopgate import.\n");
    let steps = draft.steps();
    if !steps.is_empty() {
        out.push_str("#\n# Next:\n");
    }
    for (n, step) in (1..).zip(&steps) {
        let _ = writeln!(out, "# {n}. {step}");
    }
    if !shared.is_empty() {
        out.push_str("\n[defaults]\n");
        for setting in &shared {
            line(&mut out, setting.key, &setting.value);
        }
    }
    if let Some((listen, at)) = &draft.links.listen {
        let _ = writeln!(out, "\n# {}\n[tunnel]\nlisten = {}", place(file, at.line), quoted(listen));
    }
    for link in &draft.links.all {
        print_link(&mut out, link, file);
    }
    for route in draft.routes() {
        print_route(&mut out, route, file, &shared);
    }
    for table in ["limits", "log"] {
        let of = |setting: &&Setting| setting.key.split('.').next() == Some(table);
        for (n, setting) in draft.process.iter().filter(of).enumerate() {
            if n == 0 {
                let _ = writeln!(out, "\n[{table}]");
            }
            line(&mut out, &setting.key[table.len() + 1..], &setting.value);
        }
    }
    out
}

/// The settings outside sub-tables that are the same in every route.
fn shared(draft: &Draft) -> Vec<Setting> {
    let routes: Vec<&Route> = draft.routes().collect();
    let Some((first, rest)) = routes.split_first().filter(|(_, rest)| rest.len() + 1 >= SHARED_BY) else {
        return Vec::new();
    };
    let in_all = |setting: &&Setting| {
        let same = |route: &&Route| {
            route.settings.iter().any(|other| other.key == setting.key && other.value == setting.value)
        };
        !setting.key.contains('.') && rest.iter().all(same)
    };
    first.settings.iter().filter(in_all).cloned().collect()
}

/// A line of the imported file.
fn place(file: &str, number: usize) -> String {
    if number == 0 { file.to_owned() } else { format!("{file}:{number}") }
}

fn print_link(out: &mut String, link: &Link, file: &str) {
    let _ = writeln!(out, "\n# {}", place(file, link.at.line));
    for lack in &link.lacks {
        let _ = writeln!(out, "# not carried: {lack}");
    }
    let _ = writeln!(out, "[tunnels.{}]", link.name);
    if let Some(connect) = &link.connect {
        line(out, "connect", &Toml::text(connect));
    }
    let _ = writeln!(out, "public_key = {}   # what `loopgate tunnel key` prints there", quoted(PASTE));
    if !link.may_listen.is_empty() {
        line(out, "may_listen", &Toml::List(link.may_listen.iter().map(|(may, _)| may.clone()).collect()));
    }
    for setting in &link.settings {
        line(out, setting.key, &setting.value);
    }
}

fn print_route(out: &mut String, route: &Route, file: &str, shared: &[Setting]) {
    let _ = writeln!(out, "\n# {}", place(file, route.at.line));
    for lack in &route.lacks {
        let _ = writeln!(out, "# not carried: {lack}");
    }
    let _ = writeln!(out, "[routes.{}]", route.name);
    let listen = match &route.listen[..] {
        [only] => Toml::text(only),
        several => Toml::List(several.to_vec()),
    };
    line(out, "listen", &listen);
    if !route.targets.is_empty() {
        let _ = writeln!(out, "target = {}", targets(&route.targets));
    }
    let own: Vec<&Setting> = route
        .settings
        .iter()
        .filter(|setting| !shared.iter().any(|other| other.key == setting.key))
        .collect();
    for setting in own.iter().filter(|setting| !setting.key.contains('.')) {
        line(out, setting.key, &setting.value);
    }
    for (table, named) in [("names", &route.names), ("alpn", &route.alpn)] {
        if !named.is_empty() {
            let _ = writeln!(out, "\n[routes.{}.{table}]", route.name);
        }
        for (name, all) in named {
            let _ = writeln!(out, "{} = {}", quoted(name), targets(all));
        }
    }
    let mut tables: Vec<&str> =
        own.iter().filter_map(|it| it.key.split_once('.')).map(|(table, _)| table).collect();
    tables.sort_unstable();
    tables.dedup();
    for table in tables {
        let _ = writeln!(out, "\n[routes.{}.{table}]", route.name);
        for setting in &own {
            if let Some((of, key)) = setting.key.split_once('.')
                && of == table
            {
                line(out, key, &setting.value);
            }
        }
    }
}

fn line(out: &mut String, key: &str, value: &Toml) {
    let _ = writeln!(out, "{key} = {}", written(value));
}

fn targets(targets: &[Target]) -> String {
    let has_limit = |target: &Target| target.max_connections.is_some();
    let is_plain =
        |target: &Target| target.weight.is_none() && !target.backup && !target.drain && !has_limit(target);
    match targets {
        [only] if is_plain(only) => quoted(&only.address),
        all if all.iter().all(is_plain) => {
            written(&Toml::List(all.iter().map(|target| target.address.clone()).collect()))
        }
        all => {
            let lines: Vec<String> =
                all.iter().map(|target| format!("    {},\n", one_target(target))).collect();
            format!("[\n{}]", lines.concat())
        }
    }
}

fn one_target(target: &Target) -> String {
    let mut fields = vec![format!("address = {}", quoted(&target.address))];
    fields.extend(target.weight.map(|weight| format!("weight = {weight}")));
    if target.backup {
        fields.push("backup = true".to_owned());
    }
    if target.drain {
        fields.push("drain = true".to_owned());
    }
    fields.extend(target.max_connections.map(|most| format!("max_connections = {most}")));
    format!("{{ {} }}", fields.join(", "))
}

fn written(value: &Toml) -> String {
    match value {
        Toml::Text(text) => quoted(text),
        Toml::Number(number) => number.to_string(),
        Toml::Truth(truth) => truth.to_string(),
        Toml::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            let flat = format!("[{}]", items.join(", "));
            if flat.len() <= 90 { flat } else { format!("[\n    {},\n]", items.join(",\n    ")) }
        }
    }
}

/// A basic string of TOML, with special and invisible characters escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
