//! `names`, `alpn` and `not_tls`: targets that are chosen by a client's first bytes.

use std::collections::HashMap;
use std::hash::Hash;

use super::problem::Problem;
use super::table::Table;
use super::target::targets;
use super::written::{Named, WrittenHello};
use crate::client_hello::Name;
use crate::units::{Misread, quoted};

/// The three keys of a route.
pub(super) fn hello(table: &mut Table<'_, '_>) -> WrittenHello {
    let mut hello = WrittenHello::default();
    for key in ["names", "alpn", "not_tls"] {
        hello.keys.extend(table.get(key).map(|value| (key, table.at(value.span()))));
    }
    if let Some(names) = table.table("names", None) {
        hello.names = each(names, str::parse::<Name>, "\"a.example\"");
    }
    if let Some(alpn) = table.table("alpn", None) {
        hello.alpn = each(alpn, protocol, "\"acme-tls/1\"");
    }
    if let Some(value) = table.get("not_tls") {
        hello.not_tls = targets(table, "not_tls", value);
    }
    hello
}

/// Every key as its parsed meaning, with its targets, in the order written.
fn each<K: Clone + Eq + Hash>(
    mut table: Table<'_, '_>,
    read: fn(&str) -> Result<K, Misread>,
    example: &str,
) -> Vec<Named<K>> {
    let (mut found, mut seen) = (Vec::new(), HashMap::new());
    for (word, place, value) in table.entries() {
        let targets = targets(&mut table, word, value);
        match read(word) {
            Err(Misread { what, instead }) => {
                table.problems.push(Problem::new(place, table.key(word), what).help(instead));
            }
            Ok(key) => {
                if let Some(first) = seen.insert(key.clone(), place.clone()) {
                    let problem =
                        Problem::new(place, table.key(word), format!("{} is listed twice", quoted(word)));
                    let problem = problem.label("again here").also(first, "first here");
                    table.problems.push(
                        problem.help("leave one of the two out; case and a trailing dot make no difference"),
                    );
                    continue;
                }
                found.push((key, targets));
            }
        }
    }
    if table.entries().is_empty() {
        let problem = Problem::new(table.place().clone(), table.path(), "this table is empty");
        table
            .problems
            .push(problem.help(format!("add a line, as {example} = \"127.0.0.1:8443\", or leave it out")));
    }
    found
}

/// The name of a protocol, an opaque string of bytes (RFC 7301, section 3.1).
fn protocol(word: &str) -> Result<Box<[u8]>, Misread> {
    let meant = match &*word.to_ascii_lowercase() {
        "http2" | "http/2" | "http/2.0" | "h2" => "h2",
        "http1" | "http/1" | "http1.1" | "http/1.1" => "http/1.1",
        "acme" | "acme-tls" | "acme-tls/1" | "acme-tls-1" => "acme-tls/1",
        _ => word,
    };
    if meant != word {
        let what = format!("no client calls its protocol {}", quoted(word));
        return Err(Misread::new(what, format!("write {}", quoted(meant))));
    }
    match word.len() {
        1..=255 => Ok(word.as_bytes().into()),
        length => {
            let what = format!("the name of a protocol cannot have {length} bytes");
            Err(Misread::new(what, "it has 1 to 255, as \"h2\" has 2"))
        }
    }
}
