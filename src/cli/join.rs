//! `loopgate tunnel join`: this machine and another come to know each other, with the line of an invite.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use tokio::runtime::Builder;

use super::output::{answer, code, complain};
use super::pairing::{Ended, INCLUDE, folder, included, own_key, whole};
use crate::address::TunnelName;
use crate::config::bare_or_quoted;
use crate::plan;
use crate::plan::pairing::{InviteLine, Outline, outline};
use crate::sys::arguments;
use crate::transport::proxied::{Environment, ProxyChoice, ProxyWord};
use crate::transport::tunnel::identity::PrivateKey;
use crate::transport::tunnel::pairing::folder::{Folder, Unfinished};
use crate::transport::tunnel::pairing::written::{is_plain, other};
use crate::tunnel::{self, JoinFault, Joined};
use crate::units::{Misread, shown_path};

pub(super) const HELP: &str = "\
LINE is what `loopgate tunnel invite` has printed on the other machine. The key
of that machine stands in it, and no other is accepted. This machine's key is
made if there is none, tunnels.d/NAME.toml is written beside the configuration,
and a Loopgate that runs with it takes it over at once. Without a configuration
one is made that includes the folder.

Write - to have the line read from the terminal, or from standard input: then no
other user of this machine, and no history of the shell, sees it.

Examples:
  loopgate tunnel join -
  loopgate tunnel join 'vps.example.com:4433#ed25519:KEY#INVITE'

Exit codes:
  0  this machine has joined
  1  the key of this machine cannot be read or written, or the answer was lost
  2  the command line or the configuration has a problem, such as a missing include
  3  the other machine is not reached, or is another than the line says
  6  the invite was used, is over, or was closed by wrong tries";

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 4096;

#[derive(Args)]
pub(super) struct JoinArgs {
    /// The line of the invite, or - to read it
    #[arg(value_name = "LINE|-")]
    line: String,

    /// The configuration file [default: that of run]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// The proxy on the way, for this command and for the tunnel: http:// or socks5://, or env, that of HTTPS_PROXY or
    /// ALL_PROXY
    #[arg(long, value_name = "URL|env")]
    proxy_url: Option<String>,
}

/// Joins. The exit code is 0, or why it could not.
pub(super) fn join(args: JoinArgs) -> u8 {
    match joined(args) {
        Ok(told) => answer(|out| {
            out.write_all(told.as_bytes())?;
            Ok(code::OK)
        }),
        Err(Ended(code)) => code,
    }
}

/// Joins, and writes what comes of it; what to tell.
fn joined(args: JoinArgs) -> Result<String, Ended> {
    hide(&args);
    let line: InviteLine =
        given(&args.line)?.parse().map_err(|Misread { what, instead }| Ended::because(&what, &instead))?;
    let (choice, written) = proxy(args.proxy_url)?;
    let (file, is_new) = configuration(args.config)?;
    // A configuration that includes a folder which does not exist has a problem.
    let folder = folder(&file)?;
    let outline = if is_new { Outline::default() } else { outline(&file)? };
    let known = outline.tunnels.iter().find(|of| of.dials.contains(&line.key));
    let name = match known {
        Some(of) => of.name.clone(),
        None => named(&outline, &line)?,
    };
    let own = format!("{name}.toml");
    if known.is_none() {
        included_or_new(&outline, &file, is_new, &folder, &own)?;
    }
    let key = own_key(&outline, &file)?.key;
    // Written before the invite is used, so that what fails here costs none.
    let text = other(&bare_or_quoted(name.as_str()), &line.to.to_string(), written.as_deref(), &line.key);
    let unfinished = folder.write(&own, &text)?;
    let beside = if is_new { Some(beside(&file)?) } else { None };
    let beginning =
        beside.as_ref().map(|(folder, name)| folder.write(name, &format!("{INCLUDE}\n"))).transpose()?;
    let put = || {
        if known.is_none() {
            unfinished.put_new()?;
        }
        beginning.map_or(Ok(()), Unfinished::put_new)
    };
    let there = match ask(&line, &choice, &key)? {
        Ok(there) => there,
        Err(unanswered) => {
            put()?;
            let help = format!("the tunnel is {name} here: see whether it comes up, else invite again there");
            return Err(Ended::with(code::INTERNAL, &unanswered, &help));
        }
    };
    put()?;
    let told = told(&line, &there, &name, known.is_none().then(|| shown_path(&folder.path(&own))));
    // It has joined, whatever else is wrong here.
    whole(&file).inspect_err(|_| complain(&told))?;
    Ok(told)
}

/// Whether the configuration will take the file, which there is none of yet.
fn included_or_new(
    outline: &Outline,
    file: &Path,
    is_new: bool,
    folder: &Folder,
    own: &str,
) -> Result<(), Ended> {
    let path = folder.path(own);
    if !is_new {
        included(outline, file, &path)?;
    }
    match folder.read(own)? {
        Some(_) => {
            Err(Ended::because(&format!("{}: it exists already", shown_path(&path)), "remove it first"))
        }
        None => Ok(()),
    }
}

/// Hides the secret from others who list the processes.
fn hide(args: &JoinArgs) {
    let secret = args.line.rsplit_once('#').map(|(_, secret)| secret);
    let password = args.proxy_url.as_deref().and_then(|url| url.rsplit_once('@')).map(|(login, _)| login);
    for text in secret.into_iter().chain(password) {
        if let Err(error) = arguments::cover(text) {
            tracing::debug!("the argument cannot be covered: {error}");
        }
    }
}

/// The line as given, or as read.
fn given(line: &str) -> Result<String, Ended> {
    if line != "-" {
        return Ok(line.to_owned());
    }
    if io::stdin().is_terminal() {
        complain("The line of the invite:");
    }
    let mut read = String::new();
    let input = io::stdin().lock().take(MAX_LINE).read_line(&mut read);
    match input {
        Ok(0) => {
            Err(Ended::because("there is no line to read", "paste what loopgate tunnel invite has printed"))
        }
        Ok(_) => Ok(read),
        Err(error) => Err(Ended::because(&format!("the line cannot be read: {error}"), "")),
    }
}

/// The proxy, and how the file has it.
fn proxy(text: Option<String>) -> Result<(ProxyChoice, Option<String>), Ended> {
    let Some(text) = text else { return Ok((ProxyChoice::Direct, None)) };
    let wrong = |told: &str| {
        let (what, help) = told.split_once('\n').unwrap_or((told, ""));
        Ended::because(&format!("--proxy-url: {what}"), help)
    };
    if !is_plain(&text) {
        return Err(wrong("it has a character that must be written as % and two digits"));
    }
    let choice = match ProxyWord::try_from(text.clone()).map_err(|told| wrong(&told))? {
        ProxyWord::Url(url) => ProxyChoice::Always(url),
        ProxyWord::Environment => {
            let environment = Environment::read(|name| std::env::var_os(name));
            ProxyChoice::Environment(environment.map_err(|(name, told)| wrong(&format!("{name}: {told}")))?)
        }
    };
    Ok((choice, Some(text)))
}

/// The configuration file, and whether there is none yet.
fn configuration(named: Option<PathBuf>) -> Result<(PathBuf, bool), Ended> {
    let file = match named {
        Some(file) => file,
        None => match plan::default_file() {
            Ok(file) => file,
            Err(problems) => match plan::user_file(|name| std::env::var_os(name)) {
                Some(file) => file,
                None => return Err(problems.into()),
            },
        },
    };
    let is_new = !file.try_exists().unwrap_or(true);
    Ok((file, is_new))
}

fn named(outline: &Outline, line: &InviteLine) -> Result<TunnelName, Ended> {
    outline.name_for(&line.to).ok_or_else(|| {
        Ended::because("no tunnel can be named for this", "add [tunnels.NAME] to the configuration yourself")
    })
}

/// Asks to be let in; within it words, where the answer was lost: it may be in, or not.
fn ask(line: &InviteLine, proxy: &ProxyChoice, own: &PrivateKey) -> Result<Result<Joined, String>, Ended> {
    let failed =
        |error: io::Error| Ended::with(code::INTERNAL, &format!("nothing can be dialled: {error}"), "");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let joined = runtime.block_on(tunnel::join(&line.to, proxy, line.key, own, &line.ticket));
    joined.map(Ok).or_else(|fault| {
        let code = match &fault {
            JoinFault::Unanswered(_) => return Ok(Err(fault.to_string())),
            JoinFault::Unreached(_) => code::UNKNOWN,
            JoinFault::Refused(_) => code::DENIED,
        };
        Err(Ended::with(code, &fault.to_string(), ""))
    })
}

/// The folder of a configuration that is to be made, and its name there.
fn beside(file: &Path) -> Result<(Folder, &str), Ended> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok((Folder::open(folder)?, name))
}

fn told(line: &InviteLine, there: &Joined, name: &TunnelName, written: Option<String>) -> String {
    let mut told = format!("Joined {} as {}.\n", line.to, there.name);
    if !there.is_in {
        told += "The Loopgate that runs there has not taken it over yet: see its log, or reload it.\n";
    }
    told += &match written {
        Some(path) => format!("Wrote {path}: the tunnel is {name} here.\n"),
        None => format!("The configuration has the tunnel already: it is {name} here.\n"),
    };
    told + &format!("To have a port opened there: loopgate -R 8080:3000 --tunnel {name}\n")
}
