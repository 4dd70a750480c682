//! Command lines of ssh (ssh(1)) with `-L`, and `LocalForward` lines of its configuration (ssh_config(5)) → routes.

use super::draft::{Draft, Target};
use super::message::At;
use super::shell::{bracketed, commands, joined_lines, of_command, port, split, tell_shell};

/// Options that take a word.
const WITH_WORD: &str = "BbcDEeFIiJLlmOopQRSWwP";
/// Options that do not.
const ALONE: &str = "46AaCfGgKkMNnqsTtVvXxYy";
const TUNNEL: &str = "it concerns the tunnel, and there is none";
const HOP: &str =
    "Loopgate dials from where it runs and encrypts nothing; run it on that host, or keep the tunnel";

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
                draft.lost(None, &at, why);
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

/// The block a line begins: what stands before the first, and under `Host *`, is of all hosts and is block 0.
fn begins(words: &[String], number: usize) -> Option<usize> {
    let first = words.first()?;
    let is_block = first.eq_ignore_ascii_case("Host") || first.eq_ignore_ascii_case("Match");
    is_block.then(|| if words[1..] == ["*"] { 0 } else { number })
}

/// The blocks in which `LocalForward` without an address is listened on everywhere.
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

/// One line of ssh's configuration.
fn configured(words: &[String], is_open: bool, at: &At, draft: &mut Draft) {
    let is = |name: &str| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
    match words {
        [_, listen, target] if is("LocalForward") => {
            forward(&format!("{listen}:{target}"), is_open, at, draft)
        }
        [_, both] if is("LocalForward") => forward(both, is_open, at, draft),
        _ if is("LocalForward") => draft.lost(None, at, "this is not [bind:]port host:port"),
        [_, hosts @ ..] if is("Host") || is("Match") => {
            draft.lost(None, at, format!("{}: {HOP}", hosts.join(" ")));
        }
        _ if is("RemoteForward") => reversed(at, draft),
        _ if is("DynamicForward") => dynamic(at, draft),
        _ if is("Include") => draft.lost(None, at, "no other file is read; import it as well"),
        _ if is("GatewayPorts") => {
            draft.idle(at, "a forward without an address is listened on everywhere where it says yes, which is written out");
        }
        [name, ..] if is_keyword(name) => draft.idle(at, TUNNEL),
        _ => draft.lost(None, at, "this is no command line of ssh, and no word of its configuration"),
    }
}

/// Words of ssh's configuration that concern the tunnel alone (ssh_config(5)).
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

/// Reads one command line, what starts ssh included.
pub(super) fn read_words(line: usize, words: &[String], draft: &mut Draft) {
    let begin = words.iter().position(|word| is_ssh(word));
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
        "gatewayports" if opens(value) => {
            draft.idle(at, "-L without a bind address is listened on everywhere, which is written out");
        }
        "streamlocalbindmask" => draft.lost(None, at, "write who may connect to a socket in socket_mode"),
        _ => draft.idle(at, TUNNEL),
    }
}

/// `GatewayPorts=yes`
fn opens(setting: &str) -> bool {
    let (name, value) = setting.split_once(['=', ' ']).unwrap_or((setting, ""));
    name.eq_ignore_ascii_case("GatewayPorts") && value.trim().eq_ignore_ascii_case("yes")
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
        [listen, host, port] => (None, listen, format!("{}:{}", bracketed(host), numbered(port))),
        [bind, listen, host, port] => (Some(bind), listen, format!("{}:{}", bracketed(host), numbered(port))),
        _ => return draft.lost(None, at, "this is not [bind:]port:host:port"),
    };
    if is_path(listen) {
        let id = draft.open(listen.rsplit('/').next().unwrap_or_default(), at.clone());
        draft.listen(id, format!("unix:{listen}"));
        draft.target(id, Target { address: target, at: Some(at.clone()), ..Target::default() });
        return;
    }
    let listen = numbered(listen);
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

/// A port that is told by the name of its service as a number.
fn numbered(text: &str) -> String {
    port(text, "tcp").map_or(text.to_owned(), |port| port.to_string())
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
