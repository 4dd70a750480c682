//! The routes of the command line, as typed: bare ones and those of `-L` and `-R`.

use super::sources::Sources;
use crate::address::{Spec, TunnelName};
use crate::config::{Place, Problem};
use crate::diagnosis::process_text::shell;
use crate::units::{Misread, quoted, shown};

/// A route of the command line.
pub(super) struct Typed {
    pub(super) spec: Spec,
    /// The argument.
    pub(super) place: Place,
}

/// The first route of the command line, of `-R` if there is one.
pub(super) fn first(sources: &Sources) -> Option<&String> {
    sources.tunnels.reverse.first().or(sources.forwards.first())
}

/// Reads the routes of the command line, which go through this tunnel. Adds a problem for each that cannot be read.
pub(super) fn read(
    sources: &Sources,
    tunnel: Option<&TunnelName>,
    problems: &mut Vec<Problem>,
) -> Vec<Typed> {
    let mut typed = Vec::new();
    let mut add = |argument: &String, spec: Result<Spec, Misread>| {
        let place = Place::Argument(argument.clone());
        match spec {
            Ok(spec) => typed.push(Typed { spec, place }),
            Err(Misread { what, instead }) => problems.push(Problem::new(place, "", what).help(instead)),
        }
    };
    for argument in &sources.forwards {
        match (login(argument, sources), tunnel) {
            (Some(login), _) => add(argument, Err(login)),
            (None, Some(tunnel)) => add(argument, Spec::dialling_in(tunnel, argument)),
            (None, None) if sources.tunnels.tunnels.is_empty() => add(argument, argument.parse()),
            // What is wrong with the tunnel that is named is told already.
            (None, None) => {}
        }
    }
    for argument in &sources.tunnels.reverse {
        match tunnel {
            Some(tunnel) => add(argument, Spec::listening_in(tunnel, argument)),
            // The same, and what is wrong with the login that was meant to name it.
            None if !sources.tunnels.tunnels.is_empty() => {}
            None if sources.forwards.iter().any(|it| login(it, sources).is_some()) => {}
            None => {
                let what = "-R listens at the other end of a tunnel, and no tunnel is named";
                add(argument, Err(Misread::new(what, "name the other end: --tunnel HOST#KEY")));
            }
        }
    }
    typed
}

/// The answer to `root@vps` behind the routes, as ssh takes it; with `-R` or `-L` to `vps` as well, unless a tunnel is named.
fn login(argument: &str, sources: &Sources) -> Option<Misread> {
    let reverse = &sources.tunnels.reverse;
    let (user, host) = argument.split_once('@').map_or((None, argument), |(user, host)| (Some(user), host));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = |text: &str| !text.is_empty() && text.chars().all(is_plain);
    let is_login = match user {
        Some(user) => is_host(user) && is_host(host),
        None => {
            let is_named = sources.tunnels.tunnels.is_empty() && !reverse.is_empty();
            is_named
                && is_host(host)
                && host.contains(|c: char| c.is_ascii_alphabetic())
                && !host.ends_with(".toml")
        }
    };
    if !is_login {
        return None;
    }
    let what = format!("{} is a machine to log in to, and Loopgate logs in nowhere", quoted(argument));
    let others = sources.forwards.iter().filter(|other| *other != argument);
    let routes = others.map(|it| ("-L", it)).chain(reverse.iter().map(|it| ("-R", it)));
    let typed: Vec<String> = routes.flat_map(|(flag, it)| [flag.to_owned(), shown(it, 200)]).collect();
    let host = shown(host, 200);
    let help = match (typed.is_empty(), reverse.is_empty()) {
        (true, _) => format!("to go through it, name it by its key: --tunnel {host}#KEY, with -L or -R"),
        (false, is_forward) => {
            let ssh = [&["ssh".to_owned(), "-N".to_owned()], &typed[..], &[shown(argument, 200)]].concat();
            let leave = if is_forward { "to connect from here, leave it out; " } else { "" };
            let ssh = shell(&ssh);
            format!(
                "{leave}with Loopgate there, name it by its key: --tunnel {host}#KEY; or use ssh itself: {ssh}"
            )
        }
    };
    Some(Misread::new(what, help))
}
