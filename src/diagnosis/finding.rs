//! The result of a diagnosis: one shape for every question, so that one place renders text, JSON and state lines.
//!
//! The rooms that judge facts also word them; this room only carries the words. Text that others control (process
//! names, command lines, banners) arrives here already escaped and truncated (`probe::system::redact`).

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::errno::{errno_name, os_message};
use super::verdict::{Certainty, Severity, Verdict};
use crate::outcome::Holder;
use crate::units::shown_path;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Could a program listen there?
    Listen,
    /// Can it be reached?
    Reach,
    /// What is wrong with an open connection?
    Session,
}

/// What the question was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A UDP address.
    Udp(SocketAddr),
    /// A Unix socket; an abstract name begins with `@`.
    Unix(PathBuf),
    /// A tunnel, or something in it.
    Tunnel {
        /// What follows `tunnel:`.
        name: String,
        /// Where it connects to, as written; empty if the other end connects.
        connect: Vec<String>,
    },
}

/// The diagnosis of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What was asked.
    pub question: Question,
    /// The address in question.
    pub subject: Subject,
    /// The routes it concerns, by name; empty if the caller named none.
    pub routes: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// How sure the verdict is.
    pub certainty: Certainty,
    /// The name of the errno that was seen, as in `ECONNREFUSED`; `None` if no call failed.
    pub errno: Option<Cow<'static, str>>,
    /// The system's message for that errno; empty if no call failed.
    pub os_message: String,
    /// One clause that follows the address, such as `taken by nginx (pid 7)`.
    pub summary: String,
    /// The lines for a person, each with its label, in order: who, how, proof, hidden …
    pub details: Vec<Detail>,
    /// The processes involved, the most important first.
    pub holders: Vec<Holder>,
    /// What the verdict rests on.
    pub evidence: Vec<Evidence>,
    /// What could not be read.
    pub not_readable: Vec<NotReadable>,
    /// What to do, the best first; the text shows only the first.
    pub fixes: Vec<Fix>,
    /// A port that was free a moment ago, if the port itself is the problem.
    pub next_free_port: Option<u16>,
    /// The checks that were made, in order, each with its result.
    pub checks: Vec<Check>,
    /// Findings beside the verdict: not faults, but worth knowing.
    pub warnings: Vec<Warning>,
    /// How long the diagnosis took.
    pub elapsed: Duration,
}

/// The result of one rule. Together with what is known about the address it makes a diagnosis.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// How sure the verdict is.
    pub certainty: Certainty,
    /// One clause that follows the address, such as `a firewall rule rejects it; the service itself listens`.
    pub summary: String,
    /// The lines for a person, in order.
    pub details: Vec<Detail>,
    /// What the verdict rests on.
    pub evidence: Vec<Evidence>,
    /// What to do, the best first.
    pub fixes: Vec<Fix>,
    /// Facts that could not be read and might have changed the verdict.
    pub not_readable: Vec<NotReadable>,
}

/// A labelled line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// `who`, `how`, `proof`, `hidden`: one word, at most 7 characters; empty if the line continues the one before.
    pub label: &'static str,
    /// The line.
    pub text: String,
}

/// A fact that was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Its source, such as `sock_diag`, `sysctl`, `nf_tables`, `/proc/net/netstat`.
    pub source: &'static str,
    /// The fact in words.
    pub fact: String,
    /// The fact as a JSON value.
    pub value: serde_json::Value,
}

/// A fact that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReadable {
    /// The fact.
    pub what: String,
    /// Why it could not be read.
    pub why: String,
    /// The command that would read it; empty if there is none.
    pub how: String,
}

/// A proposed remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What it does, in the imperative.
    pub text: String,
    /// The command that does it, one argument per item; empty if no single command does it.
    pub command: Vec<String>,
    /// Whether it needs root.
    pub root: bool,
    /// What it may break; `none` if nothing.
    pub risk: String,
}

/// One check of one part of the path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `listener`, `conflict`, `firewall`, `network`, `localhost`, `path`, `limits` …; never changes its meaning.
    pub id: &'static str,
    /// Its result.
    pub status: Status,
    /// One line for a person.
    pub text: String,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing is wrong here.
    Ok,
    /// It works, but is worth knowing.
    Warn,
    /// It is wrong.
    Fail,
    /// Not checked; the text says why.
    Skip,
}

/// Not a fault, but worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Its id in the closed list of verdicts.
    pub verdict: Verdict,
    /// One clause.
    pub summary: String,
    /// What to do about it, if anything.
    pub fix: Option<Fix>,
}

impl Finding {
    /// A finding with only its clause.
    pub fn new(verdict: Verdict, certainty: Certainty, summary: impl Into<String>) -> Finding {
        Finding {
            verdict,
            certainty,
            summary: summary.into(),
            details: Vec::new(),
            evidence: Vec::new(),
            fixes: Vec::new(),
            not_readable: Vec::new(),
        }
    }

    /// Adds a line for a person.
    pub fn detail(mut self, label: &'static str, text: impl Into<String>) -> Finding {
        self.details.push(Detail { label, text: text.into() });
        self
    }

    /// Adds a fact as evidence.
    pub fn fact(
        mut self,
        source: &'static str,
        fact: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Finding {
        self.evidence.push(Evidence { source, fact: fact.into(), value: value.into() });
        self
    }

    /// Adds a command as a proposed remedy.
    pub fn fix(mut self, command: &[&str], root: bool, risk: &str) -> Finding {
        let text = command.join(" ");
        let command = command.iter().map(|&word| word.to_owned()).collect();
        self.fixes.push(Fix { text, command, root, risk: risk.to_owned() });
        self
    }

    /// Adds a remedy in words, without a command.
    pub fn advice(mut self, text: impl Into<String>) -> Finding {
        let fix = Fix { text: text.into(), command: Vec::new(), root: false, risk: "none".to_owned() };
        self.fixes.push(fix);
        self
    }
}

impl Diagnosis {
    /// A diagnosis with only its verdict.
    pub fn new(question: Question, subject: Subject, verdict: Verdict, certainty: Certainty) -> Diagnosis {
        Diagnosis {
            question,
            subject,
            routes: Vec::new(),
            verdict,
            certainty,
            errno: None,
            os_message: String::new(),
            summary: String::new(),
            details: Vec::new(),
            holders: Vec::new(),
            evidence: Vec::new(),
            not_readable: Vec::new(),
            fixes: Vec::new(),
            next_free_port: None,
            checks: Vec::new(),
            warnings: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// If the verdict is healthy, the first warning becomes the verdict.
    pub fn settle(&mut self) {
        if self.verdict == Verdict::Healthy && !self.warnings.is_empty() {
            let first = self.warnings.remove(0);
            self.verdict = first.verdict;
            self.summary = first.summary;
            self.fixes.extend(first.fix);
        }
    }

    /// The severity. Warnings beside a healthy verdict make it a warning.
    pub fn severity(&self) -> Severity {
        let warned = self.warnings.iter().map(|warning| warning.verdict.severity()).max();
        let verdict = match self.verdict {
            // A bind with SO_REUSEADDR succeeded all the same.
            Verdict::PortInTimeWait if self.errno.is_none() => Severity::Warning,
            verdict => verdict.severity(),
        };
        verdict.max(warned.unwrap_or(Severity::Fine))
    }

    /// Takes the verdict and summary of a rule, and adds its lines, evidence and remedies.
    pub fn take(&mut self, finding: Finding) {
        self.verdict = finding.verdict;
        self.certainty = finding.certainty;
        self.summary = finding.summary;
        self.details.extend(finding.details);
        self.evidence.extend(finding.evidence);
        self.fixes.extend(finding.fixes);
        self.not_readable.extend(finding.not_readable);
    }

    /// Adds a line for a person.
    pub fn detail(&mut self, label: &'static str, text: impl Into<String>) {
        self.details.push(Detail { label, text: text.into() });
    }

    /// Adds a fact.
    pub fn fact(
        &mut self,
        source: &'static str,
        fact: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) {
        self.evidence.push(Evidence { source, fact: fact.into(), value: value.into() });
    }

    /// Records the errno and the message of a system error.
    pub fn failed_with(&mut self, error: &std::io::Error) {
        self.errno = error.raw_os_error().map(errno_name);
        self.os_message = os_message(error);
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Tcp(address) => write!(f, "{address}"),
            Subject::Udp(address) => write!(f, "{address}/udp"),
            Subject::Unix(path) => write!(f, "unix:{}", shown_path(path)),
            Subject::Tunnel { name, .. } => write!(f, "tunnel:{name}"),
        }
    }
}

/// `{"ip", "port", "proto"}`, `{"path", "proto": "unix"}`, or `{"tunnel", "connect", "proto": "tunnel"}`.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inet = |address: &SocketAddr, proto: &str| serde_json::json!({"ip": address.ip(), "port": address.port(), "proto": proto});
        match self {
            Subject::Tcp(address) => inet(address, "tcp").serialize(serializer),
            Subject::Udp(address) => inet(address, "udp").serialize(serializer),
            Subject::Unix(path) => {
                serde_json::json!({"path": path.to_string_lossy(), "proto": "unix"}).serialize(serializer)
            }
            Subject::Tunnel { name, connect } => {
                serde_json::json!({"tunnel": name, "connect": connect, "proto": "tunnel"})
                    .serialize(serializer)
            }
        }
    }
}
