//! `loopgate -R … --tunnel …`, where nothing can come of it: it ends with the exit code that says why, as a route that cannot
//! listen here does.

use std::future::pending;

use super::output::code;
use crate::address::{ListenAddress, TunnelName};
use crate::plan::{Plan, Source};
use crate::tunnel::{InVain, Tunnels};

/// Resolves once it is known that no route of a command line with `-R` alone listens at the other end, and none will until
/// somebody changes something there. Whatever else runs goes on trying. Cancel safe.
pub(super) fn known<'t>(plan: &Plan, tunnels: &'t Tunnels) -> impl Future<Output = InVain> + use<'t> {
    let only = only_there(plan);
    async move {
        match &only {
            Some(tunnel) => tunnels.in_vain(tunnel).await,
            None => pending().await,
        }
    }
}

/// The tunnel of a command line none of whose routes listens here.
fn only_there(plan: &Plan) -> Option<TunnelName> {
    let mut listens = plan.routes.values().flat_map(|route| &route.listen);
    let there = |listen: &ListenAddress| match listen {
        ListenAddress::There(there) => Some(there.tunnel.clone()),
        ListenAddress::Net(_) | ListenAddress::Unix(_) => None,
    };
    let first = there(listens.next()?)?;
    let is_alone = plan.source == Source::command_line() && listens.all(|listen| there(listen).is_some());
    is_alone.then_some(first)
}

/// Logs it, and returns the exit code. What to do about it is in the lines before.
pub(super) fn told(why: InVain) -> u8 {
    let (words, code) = match why {
        InVain::UnknownThere => ("the other end does not know the key of this machine", code::DENIED),
        InVain::NotPermitted => ("the other end does not permit it", code::DENIED),
        InVain::NotThere => ("the other machine does not have the address", code::NOT_HERE),
        InVain::Taken => ("the address is taken there", code::TAKEN),
    };
    tracing::error!("stopped, as nothing listens at the other end: {words}");
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    #[test]
    fn a_command_line_that_also_listens_here_is_not_given_up_and_no_file_is() {
        let only = |file: &str, forwards: &[&str]| {
            let forwards: Vec<String> = forwards.iter().map(|it| (*it).to_owned()).collect();
            parse(file, "", &forwards).unwrap_or_else(|problems| panic!("{problems}"))
        };

        assert_eq!(only_there(&only("", &["8080:3000"])), None);
        assert_eq!(only_there(&only("f.toml", &["8080:3000"])), None);
    }
}
