//! Command lines of ssh (ssh(1)) with `-L`, and `LocalForward` lines of its configuration (ssh_config(5)) → routes.

use super::draft::{Draft, Target};
use super::note::At;
use super::words::{bracketed, first_word, joined_lines, of_command, split, tell_shell};

/// Options that take a word.
const WITH_WORD: &str = "BbcDEeFIiJLlmOopQRSWwP";
/// Options that do not.
const ALONE: &str = "46AaCfGgKkMNnqsTtVvXxYy";
const TUNNEL: &str = "it concerns the tunnel, and there is none";
const HOP: &str =
    "Loopgate dials from where it runs and encrypts nothing; run it on that host, or keep the tunnel";

/// Reads a file of command lines or of ssh's configuration.
pub(super) fn read(text: &str, draft: &mut Draft) {
    for (number, line) in joined_lines(text) {
        let line = line.trim();
        let at = At::new(number, line);
        let words = match split(line) {
            Ok(words) => words,
            Err(why) => {
                draft.lost(None, &at, why);
                continue;
            }
        };
        let is = |name: &str| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        match &words[..] {
            [] => {}
            [_, listen, target] if is("LocalForward") => {
                forward(&format!("{listen}:{target}"), false, &at, draft)
            }
            [_, both] if is("LocalForward") => forward(both, false, &at, draft),
            _ if matches!(first_word(line), Some("ssh" | "autossh")) => read_words(number, &words, draft),
            [_, hosts @ ..] if is("Host") || is("Match") => {
                draft.lost(None, &at, format!("{}: {HOP}", hosts.join(" ")));
            }
            _ if is("RemoteForward") => reversed(&at, draft),
            _ if is("DynamicForward") => dynamic(&at, draft),
            _ => draft.idle(&at, TUNNEL),
        }
    }
}

/// Reads one command line, what starts ssh included.
pub(super) fn read_words(line: usize, words: &[String], draft: &mut Draft) {
    let is_ssh = |word: &String| matches!(word.rsplit('/').next(), Some("ssh" | "autossh"));
    let begin = words.iter().position(is_ssh);
    let is_auto = begin.is_some_and(|at| words[at].ends_with("autossh"));
    let whole = At::new(line, words.join(" "));
    let (words, shell) = of_command(&words[begin.map_or(0, |at| at + 1)..]);
    tell_shell(shell, &whole, draft);
    let mut rest = words.iter();
    let mut options = Vec::new();
    let mut host = None;
    let mut command: Vec<&str> = Vec::new();
    while let Some(word) = rest.next() {
        let is_option = word.starts_with('-') && word.len() > 1 && command.is_empty();
        if !is_option {
            match host {
                None => host = Some(word.as_str()),
                Some(_) => command.push(word),
            }
            continue;
        }
        for (at, letter) in word[1..].char_indices() {
            let after = &word[1 + at + letter.len_utf8()..];
            if WITH_WORD.contains(letter) || is_auto && letter == 'M' {
                let value = if after.is_empty() { rest.next().map_or("", String::as_str) } else { after };
                options.push((letter, value));
                break;
            }
            options.push((letter, ""));
        }
    }
    let is_open = options.iter().any(|(letter, _)| *letter == 'g');
    let of_tunnel = |(letter, _): &&(char, &str)| ALONE.contains(*letter) && *letter != 'g';
    let alone: Vec<String> =
        options.iter().filter(of_tunnel).map(|(letter, _)| format!("-{letter}")).collect();
    if !alone.is_empty() {
        draft.idle(&whole.with(alone.join(" ")), TUNNEL);
    }
    for (letter, value) in options.iter().filter(|it| !of_tunnel(it)) {
        option(*letter, value, is_open, &whole, draft);
    }
    if let Some(host) = host {
        draft.lost(None, &whole.with(host), format!("the host the tunnel leads to: {HOP}"));
    }
    if !command.is_empty() {
        draft.lost(None, &whole.with(command.join(" ")), "no command is run");
    }
}

fn option(letter: char, value: &str, is_open: bool, whole: &At, draft: &mut Draft) {
    let at = whole.with(format!("-{letter} {value}"));
    match letter {
        'L' => forward(value, is_open, &at, draft),
        'R' => reversed(&at, draft),
        'D' => dynamic(&at, draft),
        'W' | 'w' => draft.lost(
            None,
            &at,
            "a route listens on a port; there is no forwarding of standard input or of a network device",
        ),
        'o' => setting(value, is_open, &at, draft),
        'J' => draft.lost(None, &at, format!("a host on the way: {HOP}")),
        'g' => draft.idle(&at, "-L without a bind address is listened on everywhere, which is written out"),
        letter if WITH_WORD.contains(letter) => {
            draft.idle(&at, TUNNEL);
        }
        _ => draft.lost(None, &at, "ssh has no such option"),
    }
}

/// `-o LocalForward=8080 db:5432`, or a setting of the tunnel.
fn setting(value: &str, is_open: bool, at: &At, draft: &mut Draft) {
    let (name, rest) = value.split_once(['=', ' ']).unwrap_or((value, ""));
    match name.to_ascii_lowercase().as_str() {
        "localforward" => forward(&rest.split_whitespace().collect::<Vec<_>>().join(":"), is_open, at, draft),
        "remoteforward" => reversed(at, draft),
        "dynamicforward" => dynamic(at, draft),
        "exitonforwardfailure" => draft.idle(at, "nothing is started where an address cannot be had"),
        "gatewayports" => draft.lost(None, at, "write the address to listen on, as 0.0.0.0:8080"),
        _ => draft.idle(at, TUNNEL),
    }
}

fn reversed(at: &At, draft: &mut Draft) {
    draft.lost(None, at, "there are no reverse tunnels; run Loopgate on the host that is to listen");
}

fn dynamic(at: &At, draft: &mut Draft) {
    draft.lost(None, at, "there is no SOCKS proxy; write a route for each address");
}

/// `[bind:]port:host:hostport`, with the path of a socket in place of either end.
fn forward(spec: &str, is_open: bool, at: &At, draft: &mut Draft) {
    let Some(parts) = parts(spec) else {
        return draft.lost(None, at, "a bracket is never closed");
    };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let is_path = |part: &str| part.contains('/');
    let (bind, listen, target) = match parts[..] {
        [listen, target] if is_path(target) => (None, listen, format!("unix:{target}")),
        [bind, listen, target] if is_path(target) => (Some(bind), listen, format!("unix:{target}")),
        [listen, host, port] => (None, listen, format!("{}:{port}", bracketed(host))),
        [bind, listen, host, port] => (Some(bind), listen, format!("{}:{port}", bracketed(host))),
        _ => return draft.lost(None, at, "this is not [bind:]port:host:port"),
    };
    if is_path(listen) {
        let id = draft.open(listen.rsplit('/').next().unwrap_or_default(), at.clone());
        draft.listen(id, format!("unix:{listen}"));
        draft.target(id, Target { address: target, at: Some(at.clone()), ..Target::default() });
        return;
    }
    let id = draft.open(&format!("port-{listen}"), at.clone());
    match bind {
        None if !is_open => {
            draft.listen(id, format!("127.0.0.1:{listen}"));
            draft.differs(
                at,
                format!("ssh listens on ::1 as well, where there is IPv6; add \"[::1]:{listen}\" to listen"),
            );
        }
        Some("localhost") => draft.listen(id, format!("127.0.0.1:{listen}")),
        None | Some("" | "*") => {
            draft.listen(id, format!("0.0.0.0:{listen}"));
            draft.listen(id, format!("[::]:{listen}"));
        }
        Some(bind) => draft.listen(id, format!("{}:{listen}", bracketed(bind))),
    }
    if target.starts_with("localhost:") || target.starts_with("127.") {
        draft.differs(
            at,
            "in ssh this is the host the tunnel leads to; here it is the machine Loopgate runs on",
        );
    }
    draft.target(id, Target { address: target, at: Some(at.clone()), ..Target::default() });
}

/// The parts between colons outside brackets; a `/` may stand for the colon, as ssh has it for IPv6, where no part is a
/// path.
fn parts(spec: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut is_in_brackets = false;
    for c in spec.chars() {
        let last = parts.len() - 1;
        match c {
            ':' if !is_in_brackets => parts.push(String::new()),
            c => {
                is_in_brackets = match c {
                    '[' => true,
                    ']' => false,
                    _ => is_in_brackets,
                };
                parts[last].push(c);
            }
        }
    }
    (!is_in_brackets).then_some(parts)
}
