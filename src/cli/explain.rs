//! `loopgate explain`: one page on reaching an address or on listening there, or what a code means.
//!
//! It needs no runtime.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::{answer, codes, complain};
use crate::address::{Host, ListenAddress, TargetAddress, UnixName};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::{Diagnosis, Severity, Verdict, block, could_listen, could_listen_unix, json, screen};
use crate::probe::limits::raise_descriptors;
use crate::probe::ports::Transport;
use crate::probe::resolver::{self, Localhost};
use crate::probe::trace::protocol::Protocol;
use crate::units::{Misread, TimeSpan};

/// What to explain.
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The address, as 127.0.0.1:3000, localhost:3000, [::1]:3000, 3000 or unix:/run/app.sock; or a code of a report
    /// or a record, as port-held
    #[arg(value_name = "ADDRESS|CODE")]
    address: String,

    /// Could something listen there, and if not, exactly why not
    #[arg(long, conflicts_with_all = ["expect", "timeout"])]
    listen: bool,

    /// Ask for UDP
    #[arg(long)]
    udp: bool,

    /// What the service should speak, as http, tls or ssh
    #[arg(long, value_name = "PROTOCOL")]
    expect: Option<Protocol>,

    /// How long the service may take to answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = patience)]
    timeout: Duration,

    /// Answer in JSON
    #[arg(long)]
    json: bool,

    /// Let a warning be a fault: exit with 1
    #[arg(long)]
    strict: bool,
}

/// What an answer of nothing wrong, of a fault and of no answer exit with; a wrong use is 2, as everywhere.
mod exit {
    pub(super) const HEALTHY: u8 = 0;
    pub(super) const FAULT: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const UNKNOWN: u8 = 3;
}

/// Explains and says how it stands.
pub(super) fn explain(args: &ExplainArgs) -> u8 {
    let meanings = codes::meanings(&args.address);
    if !meanings.is_empty() {
        return answer(|out| codes::tell(&meanings, args.json, out).map(|()| exit::HEALTHY));
    }
    let diagnosis = match Asked::read(args) {
        Ok(asked) => asked.explain(args),
        Err(misread) => {
            complain(&codes::nearest_words(&args.address).unwrap_or_else(|| format!("error: {misread}")));
            return exit::USAGE;
        }
    };
    let code = code(&diagnosis, args.strict);
    answer(|out| {
        if args.json {
            writeln!(out, "{:#}", json(&diagnosis, SystemTime::now())?)?;
        } else if diagnosis.checks.is_empty() {
            out.write_all(block(&diagnosis).as_bytes())?;
        } else {
            out.write_all(screen(&diagnosis, &reach::heading(&diagnosis.subject)).as_bytes())?;
        }
        Ok(code)
    })
}

fn code(diagnosis: &Diagnosis, strict: bool) -> u8 {
    match diagnosis.severity() {
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

/// An address as it was asked for.
enum Asked {
    Ip(SocketAddr),
    Name(String, u16),
    Unix(PathBuf),
}

impl Asked {
    fn read(args: &ExplainArgs) -> Result<Asked, Misread> {
        if let Some(path) = args.address.strip_prefix("unix:") {
            if path.is_empty() || args.udp {
                return Err(Misread::new("unix: stands before a path", "write it as \"unix:/run/app.sock\""));
            }
            return Ok(Asked::Unix(path.into()));
        }
        if args.listen {
            let ListenAddress(address) = args.address.parse()?;
            return Ok(Asked::Ip(address));
        }
        match args.address.parse()? {
            TargetAddress::Net(Host::Ip(ip), port) => Ok(Asked::Ip(SocketAddr::new(ip, port))),
            TargetAddress::Net(Host::Name(name), port) => Ok(Asked::Name(name.into(), port)),
            TargetAddress::Unix(UnixName::Path(path)) => Ok(Asked::Unix((*path).into())),
            TargetAddress::Unix(UnixName::Abstract(name)) => Ok(Asked::Unix(format!("@{name}").into())),
        }
    }

    fn explain(self, args: &ExplainArgs) -> Diagnosis {
        let options = Options { expect: args.expect, timeout: args.timeout, ..Options::default() };
        match self {
            Asked::Ip(address) if args.listen => listening(address, args.udp),
            Asked::Unix(path) if args.listen => could_listen_unix(&path),
            Asked::Ip(address) => one(address, args.udp, &options),
            Asked::Unix(path) => reach::reach_unix(&path, &options),
            Asked::Name(name, port) => named(&name, port, args.udp, options),
        }
    }
}

fn listening(address: SocketAddr, udp: bool) -> Diagnosis {
    // As `run` does; without the right to, the limit stays what it is.
    let _ = raise_descriptors();
    could_listen(address, if udp { Transport::Udp } else { Transport::Tcp })
}

fn one(address: SocketAddr, udp: bool, options: &Options) -> Diagnosis {
    if udp { reach::reach_udp(address, options) } else { reach::reach_tcp(address, options) }
}

/// A name stands for several addresses: the first that answers is told, or else the first.
fn named(name: &str, port: u16, udp: bool, mut options: Options) -> Diagnosis {
    let said = resolver::look_up(name, options.timeout);
    let mut addresses = said.addresses.clone().unwrap_or_default();
    options.name = Some(name.to_owned());
    options.localhost = Some(Localhost { answer: Some(said), ..Localhost::read() });
    if reach::is_localhost(name) && addresses.is_empty() {
        addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let mut first = None;
    for ip in addresses {
        let diagnosis = one(SocketAddr::new(ip, port), udp, &options);
        if !nobody_there(diagnosis.verdict) {
            return diagnosis;
        }
        first.get_or_insert(diagnosis);
    }
    first.unwrap_or_else(|| reach::unresolved(name, port))
}

/// Verdicts after which the next address of a name is tried.
fn nobody_there(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::TargetNotRunning
            | Verdict::TargetOnOtherAddress
            | Verdict::TargetOnOtherFamily
            | Verdict::TargetOnOtherPort
            | Verdict::UdpTargetNotRunning
            | Verdict::Ipv6Disabled
    )
}
