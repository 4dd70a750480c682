//! Collects the lines of `defaults`, `listen`, `frontend` and `backend` sections. Other files convert them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bind::Bind;
use super::lines::{Line, Section, duration};
use super::option;
use super::server::Server;
use crate::import::draft::Draft;
use crate::import::message::At;

/// A section with the settings it inherits.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxy {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) at: At0,
    pub(super) mode: Option<String>,
    pub(super) timeouts: BTreeMap<String, (Duration, At)>,
    pub(super) balance: Option<(String, At)>,
    pub(super) maxconn: Option<(u64, At)>,
    pub(super) rate: Option<(u64, At)>,
    pub(super) source: Vec<(String, At)>,
    pub(super) keepalive: Option<At>,
    pub(super) default_backend: Option<(String, At)>,
    pub(super) uses: Vec<Line>,
    pub(super) binds: Vec<Bind>,
    pub(super) servers: Vec<Server>,
    pub(super) default_server: Vec<(String, At)>,
    pub(super) acls: Vec<Line>,
    pub(super) rules: Vec<Line>,
    /// Rules over the bytes of a connection, and how long they may wait.
    pub(super) contents: Vec<Line>,
    pub(super) checks: Vec<Line>,
    pub(super) all_backups: bool,
    /// What keeps a client on the one server it was given, if anything does: `retries 0`, `no option redispatch`.
    pub(super) no_retries: Option<At>,
    pub(super) no_redispatch: Option<At>,
    pub(super) disabled: Option<At>,
    /// The table in which it counts each client.
    pub(super) table: Option<Line>,
}

/// The first line of a section; line 0 if it has none.
pub(super) type At0 = Option<At>;

impl Proxy {
    /// A section before its lines are read: inherited settings and its own name.
    pub(super) fn begun(section: &Section, inherited: &Proxy) -> Proxy {
        let (kind, name) = (section.kind.clone(), section.name.clone());
        Proxy { kind, name, at: Some(section.at.clone()), ..inherited.clone() }
    }

    /// Its first line.
    pub(super) fn place(&self) -> At {
        self.at.clone().unwrap_or_else(|| At::new(0, ""))
    }

    /// Whether it listens.
    pub(super) fn is_front(&self) -> bool {
        self.kind != "backend"
    }

    /// Reads the lines. A section in `mode http` is skipped: it is noted as a whole later.
    pub(super) fn read(&mut self, section: &Section, draft: &mut Draft) {
        let own = section.lines.iter().rev().find(|line| line.words[0] == "mode");
        if let Some(mode) = own.and_then(|line| line.words.get(1)) {
            self.mode = Some(mode.clone());
        }
        if self.kind != "defaults" && !self.is_tcp() {
            return;
        }
        for address in &section.rest {
            self.binds.push(Bind::read(std::slice::from_ref(address), &section.at));
        }
        for line in &section.lines {
            self.line(line, draft);
        }
        // The rules of a listening section use its own; `access.rs` notes that one.
        if let (false, Some(table)) = (self.is_front(), &self.table) {
            draft.lost(
                None,
                &table.at,
                "there is no table of clients; balance = \"source_hash\" keeps a client on its target, and \
                 max_connections_per_client and connection_rate_per_client limit each",
            );
        }
    }

    /// Whether it is in `mode tcp`, the default.
    pub(super) fn is_tcp(&self) -> bool {
        self.mode.as_deref().is_none_or(|mode| mode == "tcp")
    }

    fn line(&mut self, line: &Line, draft: &mut Draft) {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        let at = &line.at;
        match words[..] {
            ["mode", "tcp" | "http" | "log" | "health"] => {}
            ["bind", _, ..] => self.binds.push(Bind::read(&line.words[1..], at)),
            ["server", _, address, ..] => {
                self.servers.push(Server::new(address, &self.default_server, &line.words[3..], at));
            }
            ["server-template", _, _, address, ..] => {
                draft.differs(
                    at,
                    "it becomes one target; the addresses of its name are tried in turn until one answers",
                );
                self.servers.push(Server::new(address, &self.default_server, &line.words[4..], at));
            }
            ["default-server", ..] => {
                self.default_server.extend(line.words[1..].iter().map(|word| (word.clone(), at.clone())));
            }
            ["dispatch", address] => self.servers.push(Server::new(address, &[], &[], at)),
            ["timeout", which, time] => match duration(time) {
                Some(time) => {
                    self.timeouts.insert(which.to_owned(), (time, at.clone()));
                }
                None => draft.lost(None, at, "this is not a time; without a unit HAProxy reads milliseconds"),
            },
            ["balance", algorithm, ..] => {
                self.balance = Some((algorithm.to_owned(), at.clone()));
                if words.len() > 2 {
                    draft.lost(None, at, "the words after the algorithm have no counterpart");
                }
            }
            ["maxconn", count] => match count.parse() {
                Ok(count) => self.maxconn = Some((count, at.clone())),
                Err(_) => draft.lost(None, at, "this is not a number"),
            },
            ["rate-limit", "sessions", count] => match count.parse() {
                Ok(count) => self.rate = Some((count, at.clone())),
                Err(_) => draft.lost(None, at, "this is not a number"),
            },
            ["source", _, ..] => {
                self.source = line.words[1..].iter().map(|word| (word.clone(), at.clone())).collect();
            }
            ["default_backend", name] => self.default_backend = Some((name.to_owned(), at.clone())),
            _ => self.rule(line, &words, draft),
        }
    }

    /// Reads a line about access, the choice of a backend, or checks.
    fn rule(&mut self, line: &Line, words: &[&str], draft: &mut Draft) {
        let at = &line.at;
        match *words {
            ["use_backend", ..] => self.uses.push(line.clone()),
            ["stick-table", ..] => self.table = Some(line.clone()),
            ["acl", _, ..] => self.acls.push(line.clone()),
            ["tcp-request", "connection" | "session", ..] => self.rules.push(line.clone()),
            // A rule over content rejects later than one over connections, but rejects the same clients.
            ["tcp-request", "content", "reject" | "silent-drop", ..] if !is_of_hello(&line.words) => {
                self.rules.push(line.clone());
            }
            ["tcp-request", "content" | "inspect-delay", ..] => self.contents.push(line.clone()),
            ["tcp-check", ..] => self.checks.push(line.clone()),
            ["option", "tcp-check" | "redis-check"] => self.checks.push(line.clone()),
            ["option", "tcpka" | "clitcpka" | "srvtcpka"] => self.keepalive = Some(at.clone()),
            ["retries", "0"] => self.no_retries = Some(at.clone()),
            ["no", "option", "redispatch"] => self.no_redispatch = Some(at.clone()),
            ["retries", _] => {
                self.no_retries = None;
                option::note(words, at, draft);
            }
            ["option", "redispatch", ..] => {
                self.no_redispatch = None;
                option::note(words, at, draft);
            }
            ["option", "allbackups"] => {
                self.all_backups = true;
                draft.idle(at, "all backups share the clients in any case");
            }
            ["disabled"] => self.disabled = Some(at.clone()),
            ["enabled"] => self.disabled = None,
            _ => option::note(words, at, draft),
        }
    }
}

/// Whether a rule is about TLS clients only, or about all other clients.
fn is_of_hello(words: &[String]) -> bool {
    words.len() == 3 || words.iter().any(|word| word.contains("ssl_hello_type"))
}
