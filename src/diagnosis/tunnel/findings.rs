//! Each fault of a tunnel, in words: a clause, its proof, and what to do.

use super::facts::{Beyond, Control, Fate, Issuer, LetIn, Listen, Reached, Shown, TunnelFacts};
use super::lines::{key_of, let_in_lines, may_listen_line};
use crate::address::Protocol;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::verdict::{Certainty, Verdict};

const PROVEN: Certainty = Certainty::Proven;

/// The source of what was seen in a handshake.
const TLS: &str = "tls";

/// The source of what the other end has said.
const SAID: &str = "the other end";

/// What was refused there, and why: every address with the same reason.
pub(super) struct Refused<'f> {
    pub(super) fate: &'f Fate,
    pub(super) of: Vec<&'f Listen>,
}

pub(super) fn proxy_refused(words: &str, status: Option<u16>) -> Finding {
    let fix = match status {
        Some(407) => "write a user and a password into proxy_url: http://USER:PASSWORD@HOST:PORT",
        Some(403 | 405) => "have the proxy permit this address, or let the other end listen on port 443",
        _ => "ask who runs the proxy, or look at its log",
    };
    let finding = Finding::new(Verdict::TunnelProxyRefused, PROVEN, words).advice(fix);
    match status {
        Some(status) => finding.fact("the proxy", "status of the answer to CONNECT", status),
        None => finding,
    }
}

pub(super) fn silent(to: &str) -> Finding {
    let summary = format!("{to} takes the connection and answers no handshake");
    Finding::new(Verdict::Unknown, Certainty::Unknown, summary)
        .advice("look at the log there; a firewall that passes only what it knows does the same")
}

pub(super) fn closed(to: &str) -> Finding {
    let summary = format!("{to} takes the connection and closes it without a handshake");
    Finding::new(Verdict::Unknown, Certainty::Unknown, summary).advice(
        "look at the log there: it may have too many connections, or be no Loopgate; a firewall does the same",
    )
}

pub(super) fn not_tls(to: &str, protocol: Option<&str>, words: &str) -> Finding {
    let summary = match protocol {
        Some(protocol) => format!("{to} speaks {protocol}: it is no Loopgate"),
        None => format!("{to} speaks no TLS: it is no Loopgate"),
    };
    not_loopgate(summary).detail("proof", format!("it said \"{words}\"")).fact(TLS, "first words", words)
}

fn not_loopgate(summary: String) -> Finding {
    let finding = Finding::new(Verdict::TunnelNotLoopgate, PROVEN, summary);
    finding.advice("correct `connect`: it needs the port of `listen` under [tunnel] there")
}

pub(super) fn no_key(to: &str, shown: Option<&Shown>) -> Finding {
    let Some(shown) = shown else {
        return not_loopgate(format!("{to} speaks TLS and proves no key: it is no Loopgate"));
    };
    let is_foreign = matches!(shown.known, Issuer::Added | Issuer::Unknown);
    let finding = if shown.is_for_host && is_foreign {
        let summary = format!("TLS to {to} is read on the way, or it is no Loopgate");
        let finding = Finding::new(Verdict::TunnelIntercepted, Certainty::Likely, summary);
        finding.advice(format!("have {to} exempted from TLS inspection, or leave by another network"))
    } else {
        not_loopgate(format!("{to} is a TLS server with a certificate: it is no Loopgate"))
    };
    let (name, issuer, known) = (&shown.name, &shown.issuer, known(shown.known));
    finding
        .detail("proof", format!("certificate for {name}"))
        .detail("", format!("by {issuer}, {known}"))
        .fact(TLS, "name of the certificate", name.as_str())
        .fact(TLS, "issuer of the certificate", issuer.as_str())
        .fact(TLS, "what is known of the issuer", known)
}

fn known(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Itself => "which is itself",
        Issuer::Public => "an authority that this machine trusts",
        Issuer::Added => "an authority that was added to this machine",
        Issuer::Unknown => "an authority that this machine does not know",
    }
}

pub(super) fn version(to: &str, has_key: bool) -> Finding {
    let (certainty, proof) = match has_key {
        true => (PROVEN, "it has the key that is expected, and refuses the protocol loopgate/1"),
        false => (Certainty::Likely, "it refuses the protocol loopgate/1, and shows no certificate"),
    };
    Finding::new(
        Verdict::TunnelVersion,
        certainty,
        format!("{to} speaks another version of the tunnel protocol"),
    )
    .detail("proof", proof)
    .fact(TLS, "alert", "no_application_protocol")
    .advice("bring the older of the two programs up to date: loopgate --version says which it is")
}

pub(super) fn wrong_key(facts: &TunnelFacts, to: &str, key: &str) -> Finding {
    let mut finding = Finding::new(
        Verdict::TunnelWrongKey,
        PROVEN,
        format!("{to} has another key: it was set up anew, or somebody is between"),
    )
    .detail("has", key);
    for (place, wanted) in facts.their_keys.iter().enumerate() {
        finding = finding.detail(if place == 0 { "wants" } else { "" }, wanted);
    }
    finding.fact(TLS, "key", key).advice(format!(
        "only if `loopgate tunnel key --public` there prints it, write it into [tunnels.{}]",
        key_of(&facts.name)
    ))
}

pub(super) fn unknown_there(facts: &TunnelFacts, to: &str) -> Finding {
    let summary = format!("{to} does not know this machine's key");
    let finding = Finding::new(Verdict::TunnelKeyUnknownThere, PROVEN, summary);
    let lines = let_in_lines(&facts.machine, &facts.own_key, &facts.offers);
    let finding = there_lines(finding, lines).fact(TLS, "alert", "access_denied");
    finding.advice("add these lines to the file there; a reload is enough")
}

/// The lines to add there.
fn there_lines(finding: Finding, lines: Vec<String>) -> Finding {
    let of = |finding: Finding, (place, line)| finding.detail(if place == 0 { "there" } else { "" }, line);
    lines.into_iter().enumerate().fold(finding, of)
}

const A_KEY_EACH: &str = "make a key on each machine (loopgate tunnel key --file FILE), and list both there";

pub(super) fn in_use(words: &str) -> Finding {
    Finding::new(Verdict::TunnelInUse, PROVEN, "another machine is connected with this machine's key")
        .detail("proof", words)
        .fact(SAID, "in_use", words)
        .advice(A_KEY_EACH)
}

pub(super) fn in_use_by(control: &Control) -> Finding {
    let Control { from, since, .. } = control;
    // A container or a second namespace of this machine has connections that are not seen here.
    Finding::new(
        Verdict::TunnelInUse,
        Certainty::Likely,
        format!("another machine is connected with this machine's key, from {from}"),
    )
    .detail("proof", format!("since {since}; this machine has no connection there"))
    .fact(SAID, "address of the control", from.as_str())
    .fact(SAID, "since", since.as_str())
    .advice(A_KEY_EACH)
}

pub(super) fn other(to: &str, words: &str) -> Finding {
    let finding = Finding::new(Verdict::Unknown, Certainty::Unknown, format!("{to}: {words}"));
    finding.advice("look at the log there")
}

pub(super) fn refused(facts: &TunnelFacts, let_in: &LetIn, refused: &Refused<'_>) -> Finding {
    let asked = |it: &&Listen| match &it.asked {
        Some(asked) => format!("{asked} (route {})", it.route),
        None => format!("route {}", it.route),
    };
    let all: Vec<String> = refused.of.iter().map(asked).collect();
    let first = refused.of.first().and_then(|it| it.asked.as_deref()).unwrap_or("PORT");
    let port = first.rsplit_once(':').map_or(first, |(_, port)| port);
    let ask_there = format!("ask there: loopgate explain {port} --listen");
    let all = all.join(", ");
    let finding = match refused.fate {
        Fate::NotPermitted => {
            let name = let_in.name.as_deref().map_or("NAME".to_owned(), key_of);
            let summary = format!("the other end does not permit {all}");
            let lines = [Some(format!("[tunnels.{name}]")), may_listen_line(&facts.offers)];
            let finding = Finding::new(Verdict::TunnelNotPermitted, PROVEN, summary);
            there_lines(finding, lines.into_iter().flatten().collect())
                .advice("let may_listen in that table there be this; a reload is enough")
        }
        Fate::TooMany => {
            let summary = format!("the other end permits no more listeners: {all}");
            Finding::new(Verdict::TunnelNotPermitted, PROVEN, summary).advice("raise max_listeners there")
        }
        Fate::Held => {
            let summary = format!("something at the other end has {all}");
            Finding::new(Verdict::TunnelPortHeld, PROVEN, summary).advice(ask_there)
        }
        Fate::NotThere => {
            let summary = format!("no interface at the other end has {all}");
            Finding::new(Verdict::AddressNotLocal, PROVEN, summary).advice(ask_there)
        }
        Fate::Privileged => {
            let summary = format!("the other end has no right to listen on {all}");
            Finding::new(Verdict::PortPrivileged, PROVEN, summary).advice(ask_there)
        }
        Fate::Other(word) => {
            let summary = format!("the other end does not listen on {all}: {word}");
            Finding::new(Verdict::Unknown, Certainty::Unknown, summary).advice("look at the log there")
        }
        Fate::May(_) | Fate::Offered => Finding::new(Verdict::Healthy, PROVEN, ""),
    };
    refused.of.iter().fold(finding, |finding, it| {
        finding.fact(SAID, format!("refused, route {}", it.route), it.asked.clone())
    })
}

pub(super) fn beyond(let_in: &LetIn, it: &Beyond) -> Finding {
    let Beyond { to, what, .. } = it;
    let name = let_in.name.as_deref().map_or("NAME".to_owned(), |name| name.to_owned());
    if let Reached::Down(cause) = &it.reached {
        let (verdict, certainty) = match cause.as_str() {
            "refused" => (Verdict::TargetNotRunning, Certainty::Likely),
            _ => (Verdict::Unknown, Certainty::Unknown),
        };
        let finding = Finding::new(verdict, certainty, format!("{to}: its target is down there: {cause}"));
        return finding
            .fact(SAID, "cause", cause.as_str())
            .advice("ask there: loopgate explain, with that target");
    }
    let suffix = if it.protocol == Protocol::Udp { "/udp" } else { "" };
    let (summary, lines) = if it.is_route {
        let summary = format!("the other end offers no route {what} to this machine");
        (summary, vec![format!("[routes.{}]", key_of(what)), format!("listen = \"tunnel:{name}\"")])
    } else {
        let summary = format!("the other end does not permit to dial {what}");
        (summary, vec![format!("[tunnels.{}]", key_of(&name)), format!("may_dial = [\"{what}{suffix}\"]")])
    };
    there_lines(Finding::new(Verdict::TunnelNotPermitted, PROVEN, summary), lines)
        .fact(SAID, "refused", to.as_str())
        .advice("add this to the file there; a reload is enough")
}

pub(super) fn no_listener() -> Finding {
    let summary = "no other end can connect: [tunnel] has no `listen`";
    Finding::new(Verdict::TargetNotRunning, PROVEN, summary)
        .advice("write listen = \"0.0.0.0:4433\" under [tunnel], or `connect` in the tunnel")
}

pub(super) fn nobody_waits(address: &str) -> Finding {
    let summary = format!("nothing listens on {address}, so the other end cannot connect");
    Finding::new(Verdict::TargetNotRunning, PROVEN, summary).advice("start it: loopgate run -c FILE")
}

pub(super) fn there(what: &str) -> Finding {
    let summary = format!("{what} is at the other end, and is not asked about from here");
    Finding::new(Verdict::Unknown, Certainty::Unknown, summary)
        .advice("ask there: loopgate explain ADDRESS, with the target of that route")
}
