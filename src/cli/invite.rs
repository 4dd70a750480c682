//! `loopgate tunnel invite`: a tunnel that another machine may join once, and the line to give to it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, ValueHint};
use humantime::format_rfc3339_seconds;
use rustix::time::{ClockId, clock_gettime};

use super::output::{answer, code, complain};
use super::pairing::{Ended, folder, included, own_key, whole};
use crate::address::{NetListen, TargetAddress, TunnelName};
use crate::config::bare_or_quoted;
use crate::plan::pairing::{InviteLine, Outline, address, check_permits, outline};
use crate::plan::{self};
use crate::transport::tunnel::pairing::folder::Folder;
use crate::transport::tunnel::pairing::written::{Unsealed, is_plain};
use crate::transport::tunnel::pairing::{Invite, Sha256, Ticket};
use crate::units::{Misread, shown_path};

pub(super) const HELP: &str = "\
Run it on the machine that the other one connects to, with its configuration. It
writes tunnels.d/NAME.toml beside the configuration, and prints the command to
run on the other machine. That is good for one hour and for one machine, and
whoever has it can join: pass it on as you would a password. The Loopgate that
runs takes the file over at once, and puts the key of the other machine in it.
Run the command as the user that Loopgate runs as.

Examples:
  loopgate tunnel invite home --may-listen 0.0.0.0:8080 --address vps.example.com
  loopgate tunnel invite home --may-dial 10.0.0.0/8:5432 -c /etc/loopgate/loopgate.toml

Exit codes:
  0  the line is printed
  1  the key of this machine cannot be read or written
  2  the command line or the configuration has a problem, such as a missing include";

/// How long an invite is good.
const GOOD_FOR: Duration = Duration::from_hours(1);

#[derive(Args)]
pub(super) struct InviteArgs {
    /// What the tunnel to the other machine is called here
    #[arg(value_name = "NAME", value_parser = str::parse::<TunnelName>)]
    name: TunnelName,

    /// The configuration file [default: that of run]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// What the other machine may have opened here: 0.0.0.0:8080, 127.0.0.1:9000-9010; may be repeated
    #[arg(long, value_name = "ADDRESS:PORTS")]
    may_listen: Vec<String>,

    /// What it may have dialled from here: 10.0.0.0/8:5432, db.internal:5432; may be repeated
    #[arg(long, value_name = "ADDRESS:PORTS")]
    may_dial: Vec<String>,

    /// Where the other machine reaches this one [default: what [tunnel] listens on, if that is one address, or the full
    /// name of this machine]
    #[arg(long, value_name = "HOST[:PORT]")]
    address: Option<String>,
}

/// Writes the invite and prints the line. The exit code is 0, or why it could not.
pub(super) fn invite(args: &InviteArgs) -> u8 {
    match invited(args) {
        Ok((line, until)) => answer(|out| {
            writeln!(out, "loopgate tunnel join '{}'", line.text())?;
            out.flush()?;
            let until = format_rfc3339_seconds(until);
            complain(&format!(
                "Run it on the other machine, once, until {until}. Whoever has it can join as {}.",
                args.name
            ));
            Ok(code::OK)
        }),
        Err(Ended(code)) => code,
    }
}

fn invited(args: &InviteArgs) -> Result<(InviteLine, SystemTime), Ended> {
    let file = match &args.config {
        Some(file) => file.clone(),
        None => plan::default_file()?,
    };
    // A configuration that includes a folder which does not exist has a problem.
    let folder = folder(&file)?;
    let outline = outline(&file)?;
    let listen = outline.listen.as_ref().ok_or_else(|| {
        let what =
            format!("other Loopgates cannot connect here: {} has no [tunnel] listen", shown_path(&file));
        Ended::because(&what, "add to it:\n[tunnel]\nlisten = \"0.0.0.0:4433\"")
    })?;
    check_permits(&args.may_listen, &args.may_dial)?;
    plain(args)?;
    let to = reached_at(args.address.as_deref(), listen)?;
    let name = format!("{}.toml", args.name);
    let path = folder.path(&name);
    let is_replaced = is_free(&outline, args, &path)?;
    included(&outline, &file, &path)?;
    let key = own_key(&outline, &file)?.key.public();
    let (text, ticket, until) = sealed(args)?;
    let unfinished = folder.write(&name, &text)?;
    if is_replaced {
        unfinished.put()?
    } else {
        unfinished.put_new()?
    }
    // What a reload would refuse must not stay in the way of the next.
    whole(&file).inspect_err(|_| remove(&folder, &name))?;
    Ok((InviteLine { to, key, ticket }, until))
}

fn remove(folder: &Folder, name: &str) {
    if let Err(unusable) = folder.remove(name) {
        complain(&format!("error: {unusable}\n = help: remove it"));
    }
}

/// Values that could leave their quotes are for a file.
fn plain(args: &InviteArgs) -> Result<(), Ended> {
    match args.may_listen.iter().chain(&args.may_dial).find(|value| !is_plain(value)) {
        Some(_) => Err(Ended::because(
            "an address with quotes, backslashes or control characters cannot be part of an invite",
            "leave it out, and add it to the file of the tunnel once the other machine has joined",
        )),
        None => Ok(()),
    }
}

/// Whether the tunnel is an invite that this one replaces.
fn is_free(outline: &Outline, args: &InviteArgs, path: &Path) -> Result<bool, Ended> {
    let Some(of) = outline.tunnels.iter().find(|of| of.name == args.name) else { return Ok(false) };
    if of.is_invited && of.file.file_name() == path.file_name() {
        return Ok(true);
    }
    let (name, file) = (&args.name, shown_path(&of.file));
    let help = "invite under another name, or remove that tunnel first";
    Err(Ended::because(&format!("there is already a tunnel {name}, in {file}"), help))
}

/// The text of the file, the ticket, and when both expire.
fn sealed(args: &InviteArgs) -> Result<(String, Ticket, SystemTime), Ended> {
    let no_dice = || Ended::with(code::INTERNAL, "the system gives no random numbers", "");
    let ticket = Ticket::random().ok_or_else(no_dice)?;
    let until = SystemTime::now() + GOOD_FOR;
    let uptime = Duration::from_secs(clock_gettime(ClockId::Boottime).tv_sec.try_into().unwrap_or_default());
    let secret = ticket.secret.hash(ticket.id).ok_or_else(no_dice)?;
    let seal = Sha256::of(&[]).ok_or_else(no_dice)?;
    let invite = Invite { id: ticket.id, secret, until, uptime: uptime + GOOD_FOR, seal };
    let name = bare_or_quoted(args.name.as_str());
    let (may_listen, may_dial) = (&args.may_listen, &args.may_dial);
    let text = Unsealed { name: &name, invite, may_listen, may_dial }.text().ok_or_else(no_dice)?;
    Ok((text, ticket, until))
}

/// The address that the line names.
fn reached_at(named: Option<&str>, listen: &NetListen) -> Result<TargetAddress, Ended> {
    let misread = |Misread { what, instead }| Ended::because(&what, &instead);
    if let Some(text) = named {
        return address(text, listen.port).map_err(misread);
    }
    let node = rustix::system::uname();
    let full_name = node.nodename().to_str().ok().filter(|name| name.contains('.'));
    match (listen.ip.is_unspecified(), full_name) {
        (false, _) => {
            if listen.ip.is_loopback() {
                complain("Other machines do not reach this address of loopback: add --address HOST[:PORT], where they do.");
            }
            address(&std::net::SocketAddr::new(listen.ip, listen.port).to_string(), listen.port)
        }
        (true, Some(name)) => address(name, listen.port),
        (true, None) => {
            let what = "by which address the other machine reaches this one is not known here";
            return Err(Ended::because(what, "add --address HOST, its name or public address"));
        }
    }
    .map_err(misread)
}
