//! `loopgate explain`: one page on reaching an address or on listening there, or what a code means.
//!
//! It needs no runtime.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueHint};

use super::output::{answer, complain};
use super::{explain_code, explain_tunnel};
use crate::address::{ListenAddress, Numbered, Protocol, Run, TargetAddress, UnixName};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::{Diagnosis, Severity, block, could_listen, could_listen_unix, heading, json, screen};
use crate::probe::system::limits::raise_descriptors;
use crate::probe::trace::protocol::Protocol as Spoken;
use crate::transport;
use crate::units::{Misread, TimeSpan, shown_json};

/// What to explain.
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// An address, such as 127.0.0.1:3000, localhost:3000, [::1]:3000, 3000 or unix:/run/app.sock; a tunnel, such as
    /// tunnel:vps; or a code from a report or a record, such as port-held
    #[arg(value_name = "ADDRESS|CODE")]
    address: String,

    /// The configuration file of the tunnel [default: as for run]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "listen")]
    config: Option<PathBuf>,

    /// Ask whether a program can listen there, and if not, why
    #[arg(long, conflicts_with_all = ["expect", "timeout"])]
    listen: bool,

    /// Ask about UDP instead of TCP
    #[arg(long)]
    udp: bool,

    /// The protocol the service should speak, such as http, tls or ssh
    #[arg(long, value_name = "PROTOCOL")]
    expect: Option<Spoken>,

    /// The longest wait for the service's answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = patience)]
    timeout: Duration,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Treat warnings as faults (exit 1)
    #[arg(long)]
    strict: bool,
}

/// The exit codes of `explain`.
mod exit {
    pub(super) const HEALTHY: u8 = 0;
    pub(super) const FAULT: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const UNKNOWN: u8 = 3;
}

/// Prints the explanation; the exit code says what was found.
pub(super) fn explain(args: &ExplainArgs) -> u8 {
    let meanings = explain_code::meanings(&args.address);
    if !meanings.is_empty() {
        return answer(|out| explain_code::write(&meanings, args.json, out).map(|()| exit::HEALTHY));
    }
    let of_tunnel = explain_tunnel::Question {
        address: &args.address,
        config: &args.config,
        is_in_part: args.listen || args.udp || args.expect.is_some(),
        timeout: args.timeout,
    };
    let asked = match explain_tunnel::diagnosis(&of_tunnel) {
        Some(asked) => asked,
        None => Asked::read(args).map(|asked| asked.explain(args)).map_err(|misread| {
            explain_code::nearest_words(&args.address).unwrap_or_else(|| format!("error: {misread}"))
        }),
    };
    let diagnosis = match asked {
        Ok(diagnosis) => diagnosis,
        Err(why) => {
            complain(&why);
            return exit::USAGE;
        }
    };
    let code = code(diagnosis.severity(), args.strict);
    answer(|out| {
        if args.json {
            let json = format!("{:#}", json(&diagnosis, SystemTime::now())?);
            writeln!(out, "{}", shown_json(&json))?;
        } else if diagnosis.checks.is_empty() {
            out.write_all(block(&diagnosis).as_bytes())?;
        } else {
            out.write_all(screen(&diagnosis, &heading(&diagnosis.subject)).as_bytes())?;
        }
        Ok(code)
    })
}

/// The exit code for a diagnosis of this severity.
pub(super) fn code(severity: Severity, strict: bool) -> u8 {
    match severity {
        Severity::Fine => exit::HEALTHY,
        Severity::Warning if !strict => exit::HEALTHY,
        Severity::Warning | Severity::Error => exit::FAULT,
        Severity::Unclear => exit::UNKNOWN,
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let time: TimeSpan = text.parse().map_err(|misread: Misread| misread.to_string())?;
    let time = time.0;
    if time < Duration::from_millis(10) || time > Duration::from_secs(60) {
        return Err("write a time from 10ms to 60s".to_owned());
    }
    Ok(time)
}

/// What the user asked about.
enum Asked {
    Listen(SocketAddr),
    ListenUnix(PathBuf),
    Reach(TargetAddress),
}

/// The address, if it is a single one and not a range of ports.
fn only<A: Numbered + Display>(run: Run<A>) -> Result<A, Misread> {
    if run.count() > 1 {
        let what = format!("{run} is more than one address");
        return Err(Misread::new(what, format!("write one, such as {}", run.first())));
    }
    Ok(run.at(0))
}

impl Asked {
    fn read(args: &ExplainArgs) -> Result<Asked, Misread> {
        if !args.listen {
            return Ok(Asked::Reach(target(args)?));
        }
        match only(args.address.parse::<Run<ListenAddress>>()?)? {
            ListenAddress::Unix(_) if args.udp => Err(no_path()),
            ListenAddress::Unix(UnixName::Path(path)) => Ok(Asked::ListenUnix((*path).into())),
            ListenAddress::Unix(UnixName::Abstract(name)) => Ok(Asked::ListenUnix(format!("@{name}").into())),
            ListenAddress::There(there) => {
                let what = format!("{there} is at the other end of a tunnel");
                Err(Misread::new(what, "ask there: loopgate explain ADDRESS --listen"))
            }
            ListenAddress::Net(listen) => {
                transport::socket_address(&listen).map(Asked::Listen).map_err(|_| {
                    let what = format!("{listen}: this machine has no such interface");
                    Misread::new(what, "write a name that `ip link` lists")
                })
            }
        }
    }

    fn explain(self, args: &ExplainArgs) -> Diagnosis {
        let protocol = if args.udp { Protocol::Udp } else { Protocol::Tcp };
        match self {
            Asked::Listen(address) => {
                // As `run` does. Without the permission to raise it, the limit stays as it is.
                let _ = raise_descriptors();
                could_listen(address, protocol.into())
            }
            Asked::ListenUnix(path) => could_listen_unix(&path),
            Asked::Reach(target) => {
                let options = Options { expect: args.expect, timeout: args.timeout, ..Options::default() };
                reach::reach_target(&target, protocol, options)
            }
        }
    }
}

fn target(args: &ExplainArgs) -> Result<TargetAddress, Misread> {
    if args.config.is_some() {
        return Err(Misread::new(
            "a file says nothing of this address",
            "leave -c out; it is for tunnel:NAME",
        ));
    }
    match args.address.strip_prefix("unix:") {
        Some(path) if path.is_empty() || args.udp => Err(no_path()),
        // A path that no route may have, such as one that is too long, is explained too.
        Some(path) if !path.starts_with('@') => Ok(TargetAddress::Unix(UnixName::Path(path.into()))),
        Some(name) => Ok(TargetAddress::Unix(UnixName::Abstract(name[1..].into()))),
        None => only(args.address.parse::<Run<TargetAddress>>()?),
    }
}

fn no_path() -> Misread {
    Misread::new("unix: needs a path, and takes no UDP", "write it as \"unix:/run/app.sock\"")
}
