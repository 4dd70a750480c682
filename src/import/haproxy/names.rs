//! `use_backend … if { req.ssl_sni -i NAME }` → the targets of a name that TLS clients ask for.

use super::access::condition;
use super::lines::Line;
use super::proxy::Proxy;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::words::time;

/// Gives each name its targets. What it gives back are the backends that are led to, and the `acl` names it used.
pub(super) fn apply<'p>(
    id: RouteId,
    front: &'p Proxy,
    proxies: &'p [Proxy],
    draft: &mut Draft,
) -> (Vec<&'p str>, Vec<String>) {
    let (mut led_to, mut used) = (Vec::new(), Vec::new());
    for line in &front.uses {
        let names = asked_for(line, front, &mut used);
        let named = line.words.get(1);
        let back = proxies.iter().find(|proxy| proxy.kind != "frontend" && Some(&proxy.name) == named);
        match (names, back) {
            (Some(names), Some(back)) if draft.knows("names") && back.is_tcp() => {
                led_to.push(back.name.as_str());
                targets(id, &names, back, line, draft);
            }
            (_, None) => draft.lost(Some(id), &line.at, "there is no such backend"),
            _ => {
                let why = "a backend is chosen by the name a TLS client asks for, or not at all; these clients go to the default one";
                draft.lost(Some(id), &line.at, why);
            }
        }
    }
    for line in &front.contents {
        let wait = line.words.get(1).filter(|word| *word == "inspect-delay").and(line.words.get(2));
        match (led_to.is_empty(), wait.and_then(|wait| super::proxy::duration(wait))) {
            (false, Some(limit)) => draft.set(id, &line.at, "hello_timeout", time(limit)),
            (false, None) if is_hello(line) => {
                draft.idle(&line.at, "names are looked for in a TLS hello anyway")
            }
            (true, Some(_)) => {
                draft.idle(&line.at, "it is how long a content rule may wait, and has no meaning without one")
            }
            _ => draft.lost(Some(id), &line.at, "rules over the bytes of a connection have no counterpart"),
        }
    }
    (led_to, used)
}

fn targets(id: RouteId, names: &[String], back: &Proxy, line: &Line, draft: &mut Draft) {
    let listen = draft.route(id).map(|route| route.listen.clone()).unwrap_or_default();
    let mut addresses = Vec::new();
    for server in &back.servers {
        match server.dialled(&listen) {
            Ok(address) => addresses.push(address),
            Err(why) => draft.lost(Some(id), &line.at, why),
        }
        if server.has_options() {
            let why = "what else stands behind a server holds for every target of the route; see what the default backend says";
            draft.lost(Some(id), server.at(), why);
        }
    }
    if let Some(route) = draft.route(id).filter(|_| !addresses.is_empty()) {
        let value = match &addresses[..] {
            [only] => Toml::text(only),
            several => Toml::List(several.to_vec()),
        };
        route.names.extend(names.iter().map(|name| (name.clone(), value.clone())));
    }
}

/// The names of a line; `None` where it asks for anything else.
fn asked_for(line: &Line, front: &Proxy, used: &mut Vec<String>) -> Option<Vec<String>> {
    let words: Vec<&str> = line.words.iter().skip(2).map(String::as_str).collect();
    let ["if", rest @ ..] = &words[..] else { return None };
    let (false, expressions) = condition(rest, front, used)? else { return None };
    let mut names = Vec::new();
    for words in &expressions {
        names.extend(of_expression(&words.iter().map(String::as_str).collect::<Vec<_>>())?);
    }
    Some(names)
}

/// `req.ssl_sni -i a.example b.example`, `req_ssl_sni -m end .example`.
fn of_expression(words: &[&str]) -> Option<Vec<String>> {
    let (fetch, rest) = words.split_first()?;
    let by_end = *fetch == "req.ssl_sni_end" || rest.windows(2).any(|pair| pair == ["-m", "end"]);
    if !matches!(*fetch, "req.ssl_sni" | "req_ssl_sni" | "req.ssl_sni_end") {
        return None;
    }
    let mut names = Vec::new();
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match *word {
            "-i" => {}
            "-m" if matches!(rest.next(), Some(&("str" | "end"))) => {}
            word if word.starts_with('-') => return None,
            word if by_end => names.push(format!("*.{}", word.strip_prefix('.')?)),
            word => names.push(word.to_owned()),
        }
    }
    (!names.is_empty()).then_some(names)
}

/// `tcp-request content accept if { req_ssl_hello_type 1 }`
fn is_hello(line: &Line) -> bool {
    let text = line.words.join(" ");
    text.contains("content accept") && text.contains("ssl_hello_type 1")
}
