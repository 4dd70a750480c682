//! Files and command lines of other forwarders → our configuration, with a note about everything that is not carried
//! over exactly.
//!
//! Each program has its own file or folder. Every word of a line is carried over, or noted as without effect or not
//! carried: a reader takes the words it knows, and notes the rest. The printed configuration has been loaded once, so
//! it is valid. This room opens no file and resolves no name; only the check of the result reads the certificates it
//! names.

mod draft;
mod frp;
mod haproxy;
mod link;
mod linked;
mod message;
mod networks;
mod portunus;
mod print;
mod prune;
mod rathole;
mod realm;
mod rinetd;
mod setting;
mod shell;
mod socat;
mod ssh;
pub mod unsupported;
mod value;

pub use message::{Fate, Note};

use std::collections::BTreeSet;

use draft::Draft;
use message::plain;
use shell::first_word;

/// A program whose files or command lines can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// realm, TOML or JSON.
    Realm,
    /// rinetd.conf.
    Rinetd,
    /// Portunus, in its standalone form.
    Portunus,
    /// HAProxy: the sections in `mode tcp`.
    Haproxy,
    /// Command lines of socat.
    Socat,
    /// Command lines of ssh, and `LocalForward` lines of its configuration.
    Ssh,
    /// rathole: the file of a client, of a server, or of both.
    Rathole,
    /// frp: the file of a client or of a server; TOML, JSON or the INI of before version 0.52.
    Frp,
}

impl Program {
    /// Every program.
    pub const ALL: [Program; 8] = [
        Program::Realm,
        Program::Rinetd,
        Program::Portunus,
        Program::Haproxy,
        Program::Socat,
        Program::Ssh,
        Program::Rathole,
        Program::Frp,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Program::Realm => "realm",
            Program::Rinetd => "rinetd",
            Program::Portunus => "portunus",
            Program::Haproxy => "haproxy",
            Program::Socat => "socat",
            Program::Ssh => "ssh",
            Program::Rathole => "rathole",
            Program::Frp => "frp",
        }
    }

    /// The program a file belongs to, judged by its text alone; `None` if it resembles none of them.
    pub fn guess(text: &str) -> Option<Program> {
        if let Some(program) = value::read(text).ok().and_then(|file| of_tree(&file)) {
            return Some(program);
        }
        if frp::is_text_of_it(text) {
            return Some(Program::Frp);
        }
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let words: Vec<&str> = lines().filter_map(first_word).collect();
        let any = |names: &[&str]| words.iter().any(|word| names.contains(word));
        if any(&["frontend", "backend", "defaults", "global"]) || lines().any(haproxy::is_listen) {
            Some(Program::Haproxy)
        } else if any(&["socat"]) {
            Some(Program::Socat)
        } else if any(&["ssh", "autossh", "LocalForward"]) {
            Some(Program::Ssh)
        } else if lines().any(rinetd::is_rule) {
            Some(Program::Rinetd)
        } else {
            None
        }
    }
}

fn of_tree(file: &value::Node) -> Option<Program> {
    let value::Value::Table(entries) = &file.value else { return None };
    let has = |key: &str| entries.iter().any(|(name, _)| name == key);
    if has("endpoints") || has("listening_ports") {
        Some(Program::Realm)
    } else if has("rule") {
        Some(Program::Portunus)
    } else if frp::is_of_it(has) {
        Some(Program::Frp)
    } else if rathole::is_of_it(entries) {
        Some(Program::Rathole)
    } else {
        None
    }
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The configuration, which is valid; `None` if no route could be carried over.
    pub toml: Option<String>,
    /// The notes, in the order of the file's lines.
    pub notes: Vec<Note>,
    /// What is to be done by hand before it runs, in order.
    pub next: Vec<String>,
}

impl Imported {
    /// Whether everything was carried over, or has no effect.
    pub fn is_whole(&self) -> bool {
        self.toml.is_some() && self.notes.iter().all(|note| note.fate != Fate::NotCarried)
    }
}

/// Imports `text` as a file of `program`; comments call it `file`.
///
/// # Errors
/// If the text cannot be parsed at all; the message says why.
pub fn import(program: Program, file: &str, text: &str) -> Result<Imported, String> {
    let mut draft = Draft::new();
    match program {
        Program::Realm => realm::read(text, &mut draft)?,
        Program::Rinetd => rinetd::read(text, &mut draft),
        Program::Portunus => portunus::read(text, &mut draft)?,
        Program::Haproxy => haproxy::read(text, &mut draft),
        Program::Socat => socat::read(text, &mut draft),
        Program::Ssh => ssh::read(text, &mut draft),
        Program::Rathole => rathole::read(text, &mut draft)?,
        Program::Frp => frp::read(text, &mut draft)?,
    }
    Ok(finish(draft, program, file))
}

/// Imports one command line of socat or ssh, split into words as the shell passes them.
///
/// # Errors
/// If `program` is neither socat nor ssh.
pub fn import_words(program: Program, words: &[String]) -> Result<Imported, String> {
    let mut draft = Draft::new();
    match program {
        Program::Socat => socat::read_words(0, words, &mut draft),
        Program::Ssh => ssh::read_words(0, words, &mut draft),
        other => return Err(format!("{} is imported from a file, not from a command line", other.name())),
    }
    Ok(finish(draft, program, "command line"))
}

fn finish(mut draft: Draft, program: Program, file: &str) -> Imported {
    let toml = prune::settle(&mut draft, &plain(file, 200), program.name());
    let next = if toml.is_some() { draft.steps() } else { Vec::new() };
    let mut notes = draft.notes;
    // A line of a section that several routes share gets one note.
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert((note.line, note.words.clone(), note.why.clone())));
    notes.sort_by_key(|note| note.line);
    Imported { toml, notes, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines that look like what the programs read, cut and mixed.
    const PIECES: &[&str] = &[
        "listen web 0.0.0.0:80",
        "frontend f",
        "backend b",
        "defaults",
        "global",
        "mode tcp",
        "bind *:80,:::81 ssl crt x",
        "bind unix@/run/x mode 660",
        "server s 10.0.0.1:80 check weight 3 backup",
        "server s [::1] send-proxy",
        "timeout client 5m",
        "balance source",
        "acl a src 10.0.0.0/8",
        "tcp-request connection reject if !a",
        "default_backend b",
        "use_backend b if a",
        "0.0.0.0 80 10.0.0.1 80 [timeout=5,src=1.2.3.4]",
        "allow 10.*",
        "deny 1.2.3.?",
        "logfile /x",
        "0.0.0.0 80/udp h 9/udp",
        "socat TCP-LISTEN:80,fork,range=10.0.0.0/8 TCP:h:80",
        "socat -T5 UDP-L:53 UDP:h:53",
        "socat - TCP:h:1",
        "socat 'a",
        "ssh -L 8080:db:5432 host",
        "ssh -NfL [::1]:1:[::2]:3 -D 1080 h",
        "LocalForward 80 h:80",
        "[[endpoints]]",
        "listen = \"0.0.0.0:1\"",
        "remote = \"h:1\"",
        "balance = \"iphash: 1\"",
        "[endpoints.network]",
        "use_udp = true",
        "[[rule]]",
        "name = \"x\"",
        "listen_ports = \"1-3\"",
        "target = \"h:1-3\"",
        "{\"endpoints\": [{\"listen\": 1}]}",
        "[client]",
        "remote_addr = \"vps:2333\"",
        "[client.services.ssh]",
        "local_addr = \"127.0.0.1:22\"",
        "[server]",
        "bind_addr = \"0.0.0.0:2333\"",
        "[server.services.ssh]",
        "transport = { type = \"tls\", tcp.proxy = \"socks5://a:b@c:1\" }",
        "heartbeat_timeout = -9",
        "serverAddr = \"vps\"",
        "bindPort = 7000",
        "allowPorts = [{ start = 1, end = 70000 }, { single = 9 }, 3]",
        "[[proxies]]",
        "type = \"tcp\"",
        "type = \"stcp\"",
        "localPort = 22",
        "remotePort = 6000",
        "healthCheck = { type = \"http\", path = \"/\" }",
        "loadBalancer.group = \"a\"",
        "plugin = { type = \"unix_domain_socket\", unixPath = \"/x\" }",
        "transport.bandwidthLimit = \"1MB\"",
        "[[visitors]]",
        "serverName = \"a\"",
        "[common]",
        "server_addr = vps",
        "[range:a]",
        "local_port = 1-3,9",
        "remote_port = 1-3,9",
        "role = visitor",
        "allow_ports = 1-9,a",
        "\\",
        "\"",
        "'",
        "-L",
        ":",
        ",",
    ];

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,200}") {
            Program::guess(&text);
            for program in Program::ALL {
                let _ = import(program, "f", &text);
            }
        }

        #[test]
        fn nothing_that_looks_like_a_file_panics_and_what_is_printed_loads(
            lines in proptest::collection::vec((0..PIECES.len(), 0..PIECES.len(), 0_usize..60), 0..12)
        ) {
            let line = |(a, b, cut): &(usize, usize, usize)| {
                let cut = PIECES[*a].char_indices().nth(*cut).map_or(PIECES[*a].len(), |(at, _)| at);
                format!("{} {}\n", &PIECES[*a][..cut], if cut == PIECES[*a].len() { "" } else { PIECES[*b] })
            };
            let text: String = lines.iter().map(line).collect();
            for program in Program::ALL {
                let Ok(imported) = import(program, "f", &text) else { continue };
                if let Some(toml) = &imported.toml
                    && let Err(problems) = crate::plan::parse("", toml, &[])
                {
                    // Keys are made and pasted by hand.
                    prop_assert!(problems.list.iter().all(prune::is_about_keys), "{problems}\n{toml}");
                }
                for note in &imported.notes {
                    prop_assert!(!note.render("f").contains(char::is_control));
                }
            }
        }
    }

    #[test]
    fn a_program_is_guessed_from_its_own_words() {
        for (text, program) in [
            ("[[endpoints]]\nlisten = \"a\"", Some(Program::Realm)),
            ("{\"endpoints\": []}", Some(Program::Realm)),
            ("[[rule]]\nname = \"a\"", Some(Program::Portunus)),
            ("# c\n0.0.0.0 80 10.0.0.1 80\n", Some(Program::Rinetd)),
            ("listen web\n  bind :80\n", Some(Program::Haproxy)),
            ("sudo socat TCP-LISTEN:80 TCP:h:80", Some(Program::Socat)),
            ("ssh -N -L 80:h:80 me@host", Some(Program::Ssh)),
            ("Host x\n  LocalForward 80 h:80", Some(Program::Ssh)),
            ("[client]\nremote_addr = \"a:1\"\n[client.services.x]\n", Some(Program::Rathole)),
            ("[server]\nbind_addr = \"a:1\"\n[server.services.x]\n", Some(Program::Rathole)),
            ("[server]\nport = 1\n", None),
            ("serverAddr = \"a\"\n[[proxies]]\n", Some(Program::Frp)),
            ("{\"bindPort\": 7000}", Some(Program::Frp)),
            ("# c\n[common]\nbind_port = 7000\n", Some(Program::Frp)),
            ("serverAddr: a\nproxies:\n", Some(Program::Frp)),
            ("hello world", None),
        ] {
            assert_eq!(Program::guess(text), program, "{text}");
        }
    }
}
