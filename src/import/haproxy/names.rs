//! `use_backend … if { req.ssl_sni -i NAME }` → the targets for a name or a protocol that TLS clients ask for.

use super::access::condition;
use super::lines::{Line, duration};
use super::proxy::Proxy;
use super::target;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;

/// The backends a frontend chooses by name.
pub(super) struct Named<'p> {
    /// The backends, each once.
    pub(super) backs: Vec<&'p Proxy>,
    /// The `acl` names that the lines use.
    pub(super) used: Vec<String>,
    /// Whether a rule rejects clients that do not use TLS.
    refuses: bool,
}

/// The field of a TLS ClientHello that a line compares.
enum Asked {
    Names(Vec<String>),
    Protocols(Vec<String>),
}

/// Sets the targets of each name.
pub(super) fn apply<'p>(id: RouteId, front: &'p Proxy, proxies: &'p [Proxy], draft: &mut Draft) -> Named<'p> {
    let mut named = Named { backs: Vec::new(), used: Vec::new(), refuses: false };
    for line in &front.uses {
        let asked = asked_for(line, front, &mut named.used, draft);
        let name = line.words.get(1);
        let back = proxies.iter().find(|proxy| proxy.kind != "frontend" && Some(&proxy.name) == name);
        match (asked, back) {
            (Some(asked), Some(back)) if draft.knows("names") && back.is_tcp() => {
                if !named.backs.iter().any(|other| std::ptr::eq(*other, back)) {
                    named.backs.push(back);
                }
                targets(id, &asked, back, &line.at, draft);
            }
            (_, None) if name.is_some_and(|name| name.contains("%[")) => {
                let why = "HAProxy chooses the backend at run time; write each name and its target in [routes.NAME.names]";
                draft.lost(Some(id), &line.at, why);
            }
            (_, None) => draft.lost(Some(id), &line.at, "there is no such backend"),
            _ => {
                let why = "Loopgate chooses a target only by the name or the protocol a TLS client asks for; these clients go to the default backend";
                draft.lost(Some(id), &line.at, why);
            }
        }
    }
    for line in &front.contents {
        named.refuses |= line.words.get(2).is_some_and(|verb| verb == "reject");
        content(id, line, !named.backs.is_empty(), draft);
    }
    named
}

/// In HAProxy a client that does not use TLS goes to the default backend, unless a rule rejects it; here it is reset.
pub(super) fn others(id: RouteId, named: &Named<'_>, front: &Proxy, draft: &mut Draft) {
    if named.backs.is_empty() || named.refuses {
        return;
    }
    let Some(route) = draft.route(id) else { return };
    let is_limited = route.targets.iter().any(|target| target.max_connections.is_some());
    let addresses: Vec<String> = route.targets.iter().map(|target| target.address.clone()).collect();
    match &addresses[..] {
        [] => {}
        [only] => draft.set(id, &front.place(), "not_tls", Toml::text(only)),
        _ => draft.set(id, &front.place(), "not_tls", Toml::List(addresses)),
    }
    if is_limited {
        let why =
            "max_connections of its targets does not hold for clients without TLS; write it in not_tls too";
        draft.differs(&front.place(), why);
    }
}

/// Notes a rule over a client's first bytes, or how long the rule may wait for them.
fn content(id: RouteId, line: &Line, has_names: bool, draft: &mut Draft) {
    let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
    let wait = match words[..] {
        [_, "inspect-delay", wait] => duration(wait),
        _ => None,
    };
    match (has_names, wait) {
        (true, Some(limit)) => draft.set(id, &line.at, "hello_timeout", time(limit)),
        (false, Some(_)) => draft.idle(&line.at, "it limits the wait of a content rule, and there is none"),
        (true, None) if is_of_hello(&words) => {
            draft.idle(&line.at, "Loopgate looks for names in a TLS ClientHello in any case");
        }
        (false, None) if words.get(2) == Some(&"accept") => {
            draft.idle(&line.at, "it waits for a TLS ClientHello, and rejects nothing without one");
        }
        (false, None) if words.get(2) == Some(&"reject") => {
            let why = "a route without names accepts every client; write [routes.NAME.names] to reset clients that do not use TLS";
            draft.leave_out(id, &line.at, why);
        }
        _ => draft.lost(Some(id), &line.at, "rules over the bytes of a connection have no counterpart"),
    }
}

/// `accept if { req.ssl_hello_type 1 }`, `reject if !{ req.ssl_hello_type 1 }`, and `reject` for all other clients.
fn is_of_hello(words: &[&str]) -> bool {
    let is_hello = words.iter().any(|word| word.contains("ssl_hello_type")) && words.contains(&"1");
    match words.get(2) {
        Some(&"accept") => {
            is_hello && words.get(3) == Some(&"if") && !words[4..].iter().any(|word| word.starts_with('!'))
        }
        Some(&"reject") => {
            let negated =
                words.get(3) == Some(&"unless") || words.get(4).is_some_and(|word| word.starts_with('!'));
            words.len() == 3 || (is_hello && negated)
        }
        _ => false,
    }
}

fn targets(id: RouteId, asked: &Asked, back: &Proxy, at: &At, draft: &mut Draft) {
    let listen = draft.route(id).map(|route| route.listen.clone()).unwrap_or_default();
    let mut targets = Vec::new();
    for server in &back.servers {
        targets.extend(target::target(server, id, &listen, draft));
    }
    if targets.is_empty() {
        return draft.lost(Some(id), at, "the backend has no server that is carried over");
    }
    let Some(route) = draft.route(id) else { return };
    let (into, words) = match asked {
        Asked::Names(names) => (&mut route.names, names),
        Asked::Protocols(protocols) => (&mut route.alpn, protocols),
    };
    let mut again = Vec::new();
    for word in words {
        match into.iter().any(|(other, _)| other == word) {
            true => again.push(word.clone()),
            false => into.push((word.clone(), targets.clone())),
        }
    }
    for word in again {
        draft.idle(&at.with(word), "an earlier line sends the same clients elsewhere");
    }
}

/// The names or protocols of a line's condition; `None` if it compares anything else.
fn asked_for(line: &Line, front: &Proxy, used: &mut Vec<String>, draft: &mut Draft) -> Option<Asked> {
    let words: Vec<&str> = line.words.iter().skip(2).map(String::as_str).collect();
    let ["if", rest @ ..] = &words[..] else { return None };
    let (false, expressions) = condition(rest, front, used)? else { return None };
    let (mut names, mut protocols) = (Vec::new(), Vec::new());
    for words in &expressions {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["req.ssl_alpn", ref rest @ ..] => protocols.extend(plain_words(rest)?),
            _ => names.extend(names_of(&words, &line.at, draft)?),
        }
    }
    match (names.is_empty(), protocols.is_empty()) {
        (false, true) => Some(Asked::Names(names)),
        (true, false) => Some(Asked::Protocols(protocols)),
        _ => None,
    }
}

/// The words after an optional `-i`.
fn plain_words(words: &[&str]) -> Option<Vec<String>> {
    let words: Vec<&str> = words.iter().copied().filter(|word| !matches!(*word, "-i" | "--")).collect();
    let all_plain = words.iter().all(|word| !word.starts_with('-'));
    all_plain.then(|| words.into_iter().map(str::to_owned).collect())
}

/// Parses `req.ssl_sni -i a.example b.example` or `req_ssl_sni -m end .example`.
fn names_of(words: &[&str], at: &At, draft: &mut Draft) -> Option<Vec<String>> {
    let (fetch, rest) = words.split_first()?;
    let by_end = *fetch == "req.ssl_sni_end" || rest.windows(2).any(|pair| pair == ["-m", "end"]);
    let fetch = fetch.split(',').next().unwrap_or(fetch);
    if !matches!(fetch, "req.ssl_sni" | "req_ssl_sni" | "req.ssl_sni_end") {
        return None;
    }
    let mut names = Vec::new();
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match (*word, word.strip_prefix('.')) {
            ("-i" | "--", _) => {}
            ("-m", _) if matches!(rest.next(), Some(&("str" | "end"))) => {}
            (word, _) if word.starts_with('-') => return None,
            (_, Some(domain)) if by_end => names.push(format!("*.{domain}")),
            (word, None) if by_end => {
                draft.differs(
                    &at.with(word),
                    "it matches the name and its subdomains, not every name with this ending",
                );
                names.extend([word.to_owned(), format!("*.{word}")]);
            }
            (word, _) => names.push(word.to_owned()),
        }
    }
    (!names.is_empty()).then_some(names)
}
