//! Command lines of socat (socat(1) 1.7.4) → routes.

mod address;
mod common;
mod dials;
mod listens;
mod tls;

use super::draft::{Draft, RouteId, Toml};
use super::message::At;
use super::shell::{commands, joined_lines, note_shell, of_command, seconds, split, time};
use address::{Address, Kind, Role};
use dials::dials;
use listens::listens;

/// Options of socat itself that take a value in the next word.
const WITH_WORD: [&str; 9] = ["-b", "-t", "-T", "-lp", "-lf", "-lm", "-L", "-W", "-r"];

/// Reads a file of command lines.
pub(super) fn read(text: &str, draft: &mut Draft) {
    for (number, line) in joined_lines(text) {
        let line = line.trim();
        let at = At::new(number, line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words = match split(line) {
            Ok(words) => words,
            Err(why) => {
                draft.lost(None, &at.unknown(), why);
                continue;
            }
        };
        let mut is_known = false;
        for command in commands(&words).filter(|command| command.iter().any(|word| is_socat(word))) {
            is_known = true;
            read_words(number, command, draft);
        }
        if !is_known {
            draft.lost(None, &at.unknown(), "this is not a command line of socat");
        }
    }
}

fn is_socat(word: &str) -> bool {
    word.rsplit('/').next() == Some("socat")
}

/// Imports one command line, which may have a prefix that starts socat.
pub(super) fn read_words(line: usize, words: &[String], draft: &mut Draft) {
    let begin = words.iter().position(|word| is_socat(word)).map_or(0, |at| at + 1);
    let at = At::new(line, words.join(" "));
    let (words, shell) = of_command(&words[begin..]);
    note_shell(shell, &at, draft);
    let mut words = words.iter();
    let mut addresses = Vec::new();
    let mut own = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            option if option.starts_with('-') && option.len() > 1 && addresses.is_empty() => {
                let value = if WITH_WORD.contains(&option) { words.next().cloned() } else { None };
                own.push((option.to_owned(), value));
            }
            address => addresses.push(Address::read(address)),
        }
    }
    let addresses: [Address; 2] = match addresses.try_into() {
        Ok(two) => two,
        Err(_) => return draft.lost(None, &at, "socat takes exactly two addresses"),
    };
    join(addresses, own, &at, draft);
}

/// The listening address and the other one; a command line may have them in either order.
fn join(addresses: [Address; 2], own: Vec<(String, Option<String>)>, at: &At, draft: &mut Draft) {
    let kinds = [addresses[0].kind(), addresses[1].kind()];
    let [mut first, mut second] = addresses;
    if own.iter().any(|(option, _)| option == "-6") {
        for address in [&mut first, &mut second] {
            address.prefer_six();
        }
    }
    let ((listener, from), (target, to)) = match kinds {
        [Some((Role::Listens, from)), Some((Role::Dials, to))] => ((first, from), (second, to)),
        [Some((Role::Dials, to)), Some((Role::Listens, from))] => ((second, from), (first, to)),
        [a, b] => {
            let other = if a.is_none() { &first } else { &second };
            let why = match (a, b) {
                (None, _) | (_, None) => other.why_not(),
                _ => "one address must listen and the other connect".to_owned(),
            };
            return draft.lost(None, at, why);
        }
    };
    if (from == Kind::Udp) != (to == Kind::Udp) {
        return draft.lost(None, at, "a route does not convert between UDP and TCP");
    }
    let name = match from {
        Kind::Udp => format!("port-{}-udp", listener.first()),
        Kind::Unix | Kind::Abstract => listener.first().rsplit('/').next().unwrap_or("unix").to_owned(),
        Kind::Tcp | Kind::Tls => format!("port-{}", listener.first()),
    };
    let id = draft.open(&name, at.clone());
    if from == Kind::Udp {
        draft.set(id, at, "protocol", Toml::text("udp"));
    }
    listens(id, listener, from, at, draft);
    dials(id, target, to, at, draft);
    for (option, value) in own {
        option_of_socat(id, &option, value.as_deref(), at, draft);
    }
}

fn option_of_socat(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    let words = value.map_or(option.to_owned(), |value| format!("{option} {value}"));
    let at = at.with(words);
    // -T5 and -T 5 are the same.
    let (name, inside) = match option.get(..2) {
        Some(name @ ("-T" | "-t" | "-b")) if option.len() > 2 => (name, Some(&option[2..])),
        _ => (option, value),
    };
    match (name, inside.and_then(seconds)) {
        ("-T", Some(idle)) => draft.set(id, &at, "idle_timeout", time(idle)),
        ("-T", None) => draft.lost(Some(id), &at, "this is not a time in seconds"),
        ("-t", _) => draft.differs(&at, "a half-closed connection stays open until its other direction ends"),
        ("-u" | "-U", _) => draft.lost(Some(id), &at, "bytes are always forwarded in both directions"),
        ("-v" | "-x" | "-r" | "-R", _) => {
            draft.lost(Some(id), &at, "Loopgate does not show the bytes; use tcpdump")
        }
        ("-L" | "-W", _) => draft.idle(&at, "a second instance reports that the address is taken"),
        (_, _)
            if name.starts_with("-d")
                || name.starts_with("-l")
                || matches!(name, "-b" | "-s" | "-g" | "-4" | "-6" | "-D" | "-h") =>
        {
            draft.idle(&at, "it configures socat itself");
        }
        _ => draft.lost(Some(id), &at, "this option of socat has no counterpart"),
    }
}
