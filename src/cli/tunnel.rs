//! `loopgate tunnel`: the key of this machine, made once, and the lines with which another Loopgate knows it; and pairing,
//! which needs neither to be copied.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};

use super::invite::{self, InviteArgs};
use super::join::{self, JoinArgs};
use super::output::{answer, code, complain};
use super::own_key::{Found, key};
use crate::address::TunnelName;
use crate::plan;
use crate::transport::tunnel::identity::{Places, places};
use crate::units::shown_path;

pub(super) const KEY_HELP: &str = "\
Run it once on each machine. It writes the private key, readable by this user
alone (mode 0600), and prints the public one with the lines to add at the other
end. A key that exists is never overwritten: its public key is printed.

Without --file, the key is the first that exists of:
  $CREDENTIALS_DIRECTORY/tunnel.key      what systemd's LoadCredential= brings
  tunnel.key                             beside the configuration file
  $STATE_DIRECTORY/tunnel.key            of systemd's StateDirectory=
  $XDG_STATE_HOME/loopgate/tunnel.key    in ~/.local/state without the variable
A new one goes beside the configuration file, if there is one.

Examples:
  loopgate tunnel key
  loopgate tunnel key --file /etc/loopgate/tunnel.key
  loopgate tunnel key --public

Exit codes:
  0  the public key is printed
  1  the key cannot be read or written, or --public finds none
  2  the command line has a problem";

#[derive(Subcommand)]
pub(super) enum TunnelCommand {
    /// Make the key of this machine, and print the public one with the lines for the other end
    #[command(after_help = KEY_HELP)]
    Key {
        #[command(flatten)]
        args: KeyArgs,
    },
    /// Let another machine join: print the line for it, which is good once, for an hour
    #[command(after_help = invite::HELP)]
    Invite {
        #[command(flatten)]
        args: InviteArgs,
    },
    /// Join another machine with the line of its invite
    #[command(after_help = join::HELP)]
    Join {
        #[command(flatten)]
        args: JoinArgs,
    },
}

#[derive(Args)]
pub(super) struct KeyArgs {
    /// The file of the private key [default: see below]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Print the public key alone, and make none
    #[arg(long)]
    public: bool,
}

/// Runs the command, and returns its exit code.
pub(super) fn tunnel(command: TunnelCommand) -> u8 {
    match command {
        TunnelCommand::Key { args } => show_key(&args),
        TunnelCommand::Invite { args } => invite::invite(&args),
        TunnelCommand::Join { args } => join::join(args),
    }
}

/// Prints the key. The exit code is 0, or 1 if there is no key that can be used.
fn show_key(args: &KeyArgs) -> u8 {
    // Whether a configuration file exists is all that matters here; reading it is for `run`.
    let places = places(plan::default_file().ok().as_deref(), |name| std::env::var_os(name));
    match key(args.file.as_deref(), !args.public, &places) {
        Ok(found) if args.public => answer(|out| {
            writeln!(out, "{}", found.key.public())?;
            Ok(code::OK)
        }),
        Ok(found) => answer(|out| print(&found, &places, own_name().as_deref(), out)),
        Err(fault) => {
            complain(&format!("error: {fault}\n = help: {}", fault.help));
            code::INTERNAL
        }
    }
}

/// Everything but the public key itself is a comment or meant to be pasted.
fn print(found: &Found, places: &Places, name: Option<&str>, out: &mut dyn Write) -> io::Result<u8> {
    let (path, public) = (shown_path(&found.path), found.key.public());
    match found.is_new {
        true => writeln!(out, "# Wrote {path}, the private key of this machine: it stays here.")?,
        false => writeln!(out, "# {path} is the private key of this machine: it stays here.")?,
    }
    writeln!(out, "# At the other end, add this to the configuration:\n")?;
    writeln!(out, "[tunnels.{}]", name.unwrap_or("NAME"))?;
    writeln!(out, "public_key = \"{public}\"")?;
    writeln!(
        out,
        "# may_listen = [\"127.0.0.1:8080\"]   what this machine may open there; nothing by default"
    )?;
    writeln!(
        out,
        "# may_dial = [\"10.0.0.5:5432\"]      what it may have dialled there; nothing by default"
    )?;
    writeln!(out, "# connect = \"HOST:4433\"             if the other end connects to this one")?;
    if !places.looked_for.iter().any(|place| is_same(place, &found.path)) {
        writeln!(out, "\n# Here, add this, as the key is not where it is looked for:\n")?;
        writeln!(out, "[tunnel]\nprivate_key = {:?}", absolute(&found.path).display().to_string())?;
    }
    Ok(code::OK)
}

fn is_same(one: &Path, other: &Path) -> bool {
    absolute(one) == absolute(other)
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The name of this machine up to its first dot, if a tunnel can be called so without quotes in TOML.
fn own_name() -> Option<String> {
    let node = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
    let name = node.split('.').next().unwrap_or_default();
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (is_bare && name.parse::<TunnelName>().is_ok()).then(|| name.to_owned())
}
