//! The command line as clap parses it: every command, every flag and the text of `--help`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};

use super::{bench, certificate, demo, explain, help, import, tunnel};
use crate::address::{ListenAddress, Run};
use crate::config::Problems;
use crate::ledger::LogFormat;
use crate::plan::{self, CommandTunnels, Secret, Sources};
use crate::units::Misread;

/// Forwards local ports to services on this machine, and says why when it cannot.
#[derive(Parser)]
#[command(name = "loopgate", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  loopgate 8080:3000             forward 127.0.0.1:8080 to 127.0.0.1:3000
  loopgate 0.0.0.0:8080:db:5432  the same for every IPv4 address, to db:5432
  loopgate run -c loopgate.toml  run a file's routes; apply each saved change
  loopgate -R 8080:3000 --tunnel 'vps.example.com#ed25519:KEY'
                                 listen on vps, forward to port 3000 here
  loopgate explain 3000          whether 127.0.0.1:3000 answers, or why not
  loopgate demo                  see it work; needs nothing else")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    #[command(flatten)]
    pub(super) short: Short,
}

/// `loopgate 8080:3000`: short for `run -L 8080:3000`.
#[derive(Args)]
pub(super) struct Short {
    #[command(flatten)]
    pub(super) forwards: ForwardArgs,

    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the routes of a file, of the command line, or of both
    #[command(after_help = help::run_help())]
    Run {
        #[command(flatten)]
        routes: RouteArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Check a configuration and report every problem, without starting anything
    #[command(after_help = help::validate_help())]
    Validate {
        #[command(flatten)]
        routes: RouteArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Explain why an address cannot be reached or listened on, or what a code means
    #[command(after_help = help::explain_help())]
    Explain {
        #[command(flatten)]
        args: explain::ExplainArgs,
    },
    /// Examine every route and this machine, without changing anything
    #[command(after_help = help::doctor_help())]
    Doctor {
        #[command(flatten)]
        routes: RouteArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Treat warnings as faults (exit 1)
        #[arg(long)]
        strict: bool,
    },
    /// Measure what a service can do, and what the detour through a route costs
    #[command(after_help = bench::HELP)]
    Bench {
        #[command(flatten)]
        args: bench::BenchArgs,
    },
    /// See it work: a route to a small built-in web page
    Demo {
        /// The address the route listens on
        #[arg(value_name = "[BIND:]PORT", default_value = demo::ADDRESS, value_parser = listen_address)]
        listen: ListenAddress,
        /// Have the page behind a tunnel: two Loopgates in one process, with keys made for it
        #[arg(long)]
        tunnel: bool,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Convert another forwarder's file or command line to a configuration
    #[command(after_help = import::HELP)]
    Import {
        #[command(flatten)]
        args: import::ImportArgs,
    },
    /// Create a self-signed certificate and its key, for trying TLS
    #[command(after_help = certificate::HELP)]
    Certificate {
        #[command(flatten)]
        args: certificate::CertificateArgs,
    },
    /// Link two Loopgates: key, invite, join
    #[command(arg_required_else_help = true)]
    Tunnel {
        #[command(subcommand)]
        command: tunnel::TunnelCommand,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print a shell's completion script
    #[command(after_help = help::COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(SHELLS))]
        shell: String,
    },
    /// Print the manual page; read it with: loopgate man | man -l -
    Man,
}

/// The shells that completions exist for.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

#[derive(Args)]
pub(super) struct RouteArgs {
    /// The configuration file [default: $LOOPGATE_CONFIG, ./loopgate.toml,
    /// $XDG_CONFIG_HOME/loopgate/loopgate.toml or /etc/loopgate/loopgate.toml, the first that exists]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) forwards: ForwardArgs,
}

#[derive(Args)]
pub(super) struct ForwardArgs {
    /// A route: listen on BIND:PORT and forward to HOST:PORT; BIND and HOST default to 127.0.0.1; may be repeated
    #[arg(value_name = "[BIND:]PORT:[HOST:]PORT")]
    forwards: Vec<String>,

    /// The same, spelled as for ssh
    #[arg(short = 'L', value_name = "[BIND:]PORT:[HOST:]PORT")]
    also: Vec<String>,

    #[command(flatten)]
    tunnels: TunnelArgs,
}

/// What `--help` calls the options of tunnels.
const TUNNELS: &str = "Tunnels";

/// Tunnels without a file, or beside one.
#[derive(Args)]
struct TunnelArgs {
    /// A route that listens at the other end of --tunnel, on loopback there without BIND, and forwards to HOST:PORT here
    #[arg(short = 'R', help_heading = TUNNELS, value_name = "[BIND:]PORT:[HOST:]PORT")]
    reverse: Vec<String>,

    /// The other end, for every route given here: a tunnel of the file, or where it listens (port 4433 by default) and its
    /// key; NAME=KEY lets who has this key in
    #[arg(long = "tunnel", help_heading = TUNNELS, value_name = "NAME|HOST[:PORT]#KEY|NAME=KEY")]
    tunnels: Vec<String>,

    /// Where other Loopgates connect to
    #[arg(long = "tunnel-listen", help_heading = TUNNELS, value_name = "[BIND:]PORT")]
    listen: Vec<String>,

    /// What the other end of the one --tunnel may have opened here: 0.0.0.0:8080, 127.0.0.1:9000-9010
    #[arg(long, help_heading = TUNNELS, value_name = "ADDRESS:PORTS")]
    may_listen: Vec<String>,

    /// What it may have dialled from here: 10.0.0.0/8:5432, db.internal:5432
    #[arg(long, help_heading = TUNNELS, value_name = "ADDRESS:PORTS")]
    may_dial: Vec<String>,

    /// The proxy that the one --tunnel is dialled through: http:// or socks5://, or env, that of HTTPS_PROXY or ALL_PROXY,
    /// which shows no password to other users
    #[arg(long, help_heading = TUNNELS, value_name = "URL|env|off")]
    proxy_url: Option<String>,
}

#[derive(Args)]
pub(super) struct LogArgs {
    /// Format of the log and its records [default: the file's, else text]
    #[arg(long, value_name = "text|json", value_parser = log_format(), hide_possible_values = true)]
    pub(super) log_format: Option<LogFormat>,
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|word| match word.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    })
}

fn listen_address(text: &str) -> Result<ListenAddress, Misread> {
    let run: Run<ListenAddress> = text.parse()?;
    match run.first() {
        ListenAddress::Net(_) if run.count() == 1 => Ok(run.at(0)),
        _ => Err(Misread::new(
            format!("{run} is not one address with a port"),
            "write one, such as 127.0.0.1:8080",
        )),
    }
}

impl ForwardArgs {
    /// What to load of these arguments and of this file. Without a file, the default one is where a tunnel's name is looked
    /// up.
    pub(super) fn sources(self, file: Option<PathBuf>) -> Sources {
        let ForwardArgs { forwards, also, tunnels } = self;
        let TunnelArgs { reverse, tunnels, listen, may_listen, may_dial, proxy_url } = tunnels;
        let is_name = |text: &String| plan::is_tunnel_of_file(text);
        let named_in = match &file {
            None if tunnels.iter().any(is_name) => plan::default_file().ok(),
            _ => None,
        };
        let proxy_url = proxy_url.map(Secret);
        let tunnels = CommandTunnels { reverse, tunnels, listen, may_listen, may_dial, proxy_url, named_in };
        Sources { file, forwards: [forwards, also].concat(), tunnels }
    }
}

impl RouteArgs {
    /// What to load: what is given, and the file that `-c` names. Without either, the default file.
    ///
    /// # Errors
    /// If a default file is needed and none exists.
    pub(super) fn sources(self) -> Result<Sources, Problems> {
        let given = self.forwards.sources(self.config);
        if given.file.is_some() || !given.forwards.is_empty() || !given.tunnels.is_empty() {
            return Ok(given);
        }
        Ok(Sources { file: Some(plan::default_file()?), ..given })
    }
}
