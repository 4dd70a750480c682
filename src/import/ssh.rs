//! Command lines of ssh (ssh(1)) with `-L`, and `LocalForward` lines of its configuration (ssh_config(5)) → routes.

use super::draft::{Draft, Target};
use super::message::At;
use super::shell::{bracketed, commands, joined_lines, note_shell, of_command, port, split};

/// Options that take a value.
const WITH_WORD: &str = "BbcDEeFIiJLlmOopQRSWwP";
/// Options that take no value.
const ALONE: &str = "46AaCfGgKkMNnqsTtVvXxYy";
const TUNNEL: &str = "it configures the tunnel of ssh, and there is none here";
const HOP: &str = "a route alone connects directly and without encryption; run Loopgate on that host, or on both with a tunnel";

/// Reads a file of command lines or of ssh's configuration.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let open = open_blocks(text);
    let mut block = 0;
    for (number, line) in joined_lines(text) {
        let line = line.trim();
        let at = At::new(number, line);
        let words = match split(line) {
            Ok(words) => words,
            Err(why) => {
                draft.lost(None, &at.unknown(), why);
                continue;
            }
        };
        let mut is_command = false;
        for command in commands(&words).filter(|command| command.iter().any(|word| is_ssh(word))) {
            is_command = true;
            read_words(number, command, draft);
        }
        if !is_command && !words.is_empty() {
            let words = unequal(words);
            block = begins(&words, number).unwrap_or(block);
            configured(&words, open.contains(&0) || open.contains(&block), &at, draft);
        }
    }
}

fn is_ssh(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("ssh" | "autossh"))
}

/// `LocalForward=80 h:80` and `LocalForward = 80 h:80` are `LocalForward 80 h:80`.
fn unequal(mut words: Vec<String>) -> Vec<String> {
    if let Some((name, rest)) = words[0].clone().split_once('=') {
        words.splice(..1, [name, rest].into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
    }
    if let Some(second) = words.get_mut(1)
        && let Some(rest) = second.strip_prefix('=')
    {
        match rest {
            "" => drop(words.remove(1)),
            rest => *second = rest.to_owned(),
        }
    }
    words
}

/// The number of the block that a line begins. Lines before the first block, and under `Host *`, apply to all hosts and
/// belong to block 0.
fn begins(words: &[String], number: usize) -> Option<usize> {
    let first = words.first()?;
    let is_block = first.eq_ignore_ascii_case("Host") || first.eq_ignore_ascii_case("Match");
    is_block.then(|| if words[1..] == ["*"] { 0 } else { number })
}

/// The blocks in which `LocalForward` without a bind address listens on every address.
fn open_blocks(text: &str) -> Vec<usize> {
    let (mut block, mut open) = (0, Vec::new());
    for (number, line) in joined_lines(text) {
        let Some(words) = split(&line).ok().filter(|words| !words.is_empty()).map(unequal) else { continue };
        block = begins(&words, number).unwrap_or(block);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word));
        if is(0, "GatewayPorts") && is(1, "yes") {
            open.push(block);
        }
    }
    open
}

/// Imports one line of ssh's configuration.
fn configured(words: &[String], is_open: bool, at: &At, draft: &mut Draft) {
    let is = |name: &str| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
    match words {
        [_, listen, target] if is("LocalForward") => {
            forward(&format!("{listen}:{target}"), is_open, at, draft)
        }
        [_, both] if is("LocalForward") => forward(both, is_open, at, draft),
        _ if is("LocalForward") => draft.lost(None, at, "the form is [bind:]port host:port"),
        [_, hosts @ ..] if is("Host") || is("Match") => {
            draft.lost(None, at, format!("{}: {HOP}", hosts.join(" ")));
        }
        _ if is("RemoteForward") => reversed(at, draft),
        _ if is("DynamicForward") => dynamic(at, draft),
        _ if is("Include") => draft.lost(None, at, "other files are not read; import that one too"),
        _ if is("GatewayPorts") => {
            draft.idle(
                at,
                "with yes, a forward without a bind address listens on every address; the route lists them",
            );
        }
        [name, ..] if is_keyword(name) => draft.idle(at, TUNNEL),
        _ => draft.lost(
            None,
            &at.unknown(),
            "this is neither a command line of ssh nor a keyword of its configuration",
        ),
    }
}

/// Keywords of ssh's configuration that concern only the tunnel (ssh_config(5)).
const OF_TUNNEL: &str = "\
    addkeystoagent addressfamily batchmode bindaddress bindinterface canonicaldomains canonicalizefallbacklocal \
    canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms certificatefile \
    channeltimeout checkhostip ciphers clearallforwardings compression connectionattempts connecttimeout \
    controlmaster controlpath controlpersist enableescapecommandline enablesshkeysign escapechar \
    exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout \
    forwardx11trusted globalknownhostsfile gssapiauthentication gssapidelegatecredentials hashknownhosts \
    hostbasedacceptedalgorithms hostbasedauthentication hostkeyalgorithms hostkeyalias hostname identitiesonly \
    identityagent identityfile ignoreunknown ipqos kbdinteractiveauthentication kbdinteractivedevices kexalgorithms \
    knownhostscommand localcommand loglevel logverbose macs nohostauthenticationforlocalhost numberofpasswordprompts \
    obscurekeystroketiming passwordauthentication permitlocalcommand permitremoteopen pkcs11provider port \
    preferredauthentications proxycommand proxyjump proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes \
    pubkeyauthentication rekeylimit remotecommand requesttty requiredrsasize revokedhostkeys securitykeyprovider \
    sendenv serveralivecountmax serveraliveinterval sessiontype setenv stdinnull streamlocalbindunlink \
    stricthostkeychecking syslogfacility tag tcpkeepalive tunnel tunneldevice updatehostkeys user userknownhostsfile \
    verifyhostkeydns visualhostkey xauthlocation";

fn is_keyword(word: &str) -> bool {
    OF_TUNNEL.split_whitespace().any(|known| known.eq_ignore_ascii_case(word))
}

/// Imports one command line, which may have a prefix that starts ssh.
pub(super) fn read_words(line: usize, words: &[String], draft: &mut Draft) {
    let begin = words.iter().position(|word| is_ssh(word));
    let is_auto = begin.is_some_and(|at| words[at].ends_with("autossh"));
    let whole = At::new(line, words.join(" "));
    let (words, shell) = of_command(&words[begin.map_or(0, |at| at + 1)..]);
    note_shell(shell, &whole, draft);
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
    let is_open = options.iter().any(|(letter, value)| *letter == 'g' || *letter == 'o' && opens(value));
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
        draft.lost(None, &whole.with(host), format!("this is the tunnel's host: {HOP}"));
    }
    if !command.is_empty() {
        draft.lost(None, &whole.with(command.join(" ")), "Loopgate runs no command on a remote host");
    }
}

fn option(letter: char, value: &str, is_open: bool, whole: &At, draft: &mut Draft) {
    let at = whole.with(format!("-{letter} {value}"));
    match letter {
        'L' => forward(value, is_open, &at, draft),
        'R' => reversed(&at, draft),
        'D' => dynamic(&at, draft),
        'W' | 'w' => draft.lost(None, &at, "Loopgate forwards neither standard input nor a network device"),
        'o' => setting(value, is_open, &at, draft),
        'J' => draft.lost(None, &at, format!("this is a jump host: {HOP}")),
        'g' => draft.idle(&at, "-L without a bind address listens on every address; the route lists them"),
        letter if WITH_WORD.contains(letter) => {
            draft.idle(&at, TUNNEL);
        }
        _ => draft.lost(None, &at, "ssh has no such option"),
    }
}

/// Imports the value of `-o`: `LocalForward=8080 db:5432`, or a setting of the tunnel.
fn setting(value: &str, is_open: bool, at: &At, draft: &mut Draft) {
    let (name, rest) = value.split_once(['=', ' ']).unwrap_or((value, ""));
    match name.to_ascii_lowercase().as_str() {
        "localforward" => forward(&rest.split_whitespace().collect::<Vec<_>>().join(":"), is_open, at, draft),
        "remoteforward" => reversed(at, draft),
        "dynamicforward" => dynamic(at, draft),
        "exitonforwardfailure" => draft.idle(at, "Loopgate does not start if it cannot listen on an address"),
        "gatewayports" if opens(value) => {
            draft.idle(at, "-L without a bind address listens on every address; the route lists them");
        }
        "streamlocalbindmask" => draft.lost(None, at, "set the permissions of a socket with socket_mode"),
        _ => draft.idle(at, TUNNEL),
    }
}

/// `GatewayPorts=yes`
fn opens(setting: &str) -> bool {
    let (name, value) = setting.split_once(['=', ' ']).unwrap_or((setting, ""));
    name.eq_ignore_ascii_case("GatewayPorts") && value.trim().eq_ignore_ascii_case("yes")
}

fn reversed(at: &At, draft: &mut Draft) {
    draft.lost(None, at, "write it with the key of the other end, which is not in this line: loopgate -R 8080:3000 --tunnel HOST#KEY");
}

fn dynamic(at: &At, draft: &mut Draft) {
    draft.lost(None, at, "there is no SOCKS proxy; write a route for each address");
}

/// Imports `[bind:]port:host:hostport`; a socket's path may replace either end.
fn forward(spec: &str, is_open: bool, at: &At, draft: &mut Draft) {
    let Some(parts) = parts(spec) else {
        return draft.lost(None, at, "a bracket is not closed");
    };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let is_path = |part: &str| part.contains('/');
    let (bind, listen, target) = match parts[..] {
        [listen, target] if is_path(target) => (None, listen, format!("unix:{target}")),
        [bind, listen, target] if is_path(target) => (Some(bind), listen, format!("unix:{target}")),
        [listen, host, port] => (None, listen, format!("{}:{}", bracketed(host), numbered(port))),
        [bind, listen, host, port] => (Some(bind), listen, format!("{}:{}", bracketed(host), numbered(port))),
        _ => return draft.lost(None, at, "the form is [bind:]port:host:port"),
    };
    if let Some(token) = token(spec).filter(|_| is_path(listen) || target.starts_with("unix:")) {
        let why = format!("ssh puts something else in the place of {token} in a path; write the whole path");
        return draft.lost(None, at, why);
    }
    if is_path(listen) {
        let id = draft.open(listen.rsplit('/').next().unwrap_or_default(), at.clone());
        draft.listen(id, format!("unix:{listen}"));
        draft.target(id, Target { address: target, at: Some(at.clone()), ..Target::default() });
        return;
    }
    let listen = numbered(listen);
    let id = draft.open(&format!("port-{listen}"), at.clone());
    match bind {
        None | Some("localhost") if bind.is_some() || !is_open => {
            draft.listen(id, format!("127.0.0.1:{listen}"));
            draft.differs(
                at,
                format!("ssh listens on ::1 too if the machine has IPv6; add \"[::1]:{listen}\" to listen"),
            );
        }
        None | Some("" | "*") => {
            draft.listen(id, format!("0.0.0.0:{listen}"));
            draft.listen(id, format!("[::]:{listen}"));
        }
        Some(bind) => draft.listen(id, format!("{}:{listen}", bracketed(bind))),
    }
    if target.starts_with("localhost:") || target.starts_with("127.") {
        draft.differs(
            at,
            "in ssh this address is on the tunnel's host; here it is on the machine Loopgate runs on",
        );
    }
    draft.target(id, Target { address: target, at: Some(at.clone()), ..Target::default() });
}

/// A token or an environment variable that ssh replaces in the path of a socket (ssh_config(5), TOKENS).
fn token(spec: &str) -> Option<&str> {
    let (begin, end) = match (spec.find("${"), spec.find('%')) {
        (Some(begin), _) => (begin, begin + spec[begin..].find('}')? + 1),
        (None, Some(begin)) => {
            (begin, begin + 1 + spec[begin + 1..].chars().next().map_or(0, char::len_utf8))
        }
        (None, None) => return None,
    };
    spec.get(begin..end)
}

/// The number of a port that may be written as the name of its service.
fn numbered(text: &str) -> String {
    port(text, "tcp").map_or(text.to_owned(), |port| port.to_string())
}

/// The parts between colons outside brackets; `None` if a bracket is not closed.
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
