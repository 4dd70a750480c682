//! `proxy_url` of a tunnel → the proxy that each address of `connect` is dialled through.

use crate::address::Host;
use crate::config::{Problem, Written, WrittenTunnelOf};
use crate::transport::proxied::{Environment, ProxyChoice, ProxyWord};
use crate::units::OrOff;

/// The proxy of a tunnel, and a problem for each thing that does not fit it.
pub(super) fn proxy(of: &WrittenTunnelOf, problems: &mut Vec<Problem>) -> ProxyChoice {
    let Some(Written { value: OrOff(word), place }) = &of.keys.proxy_url else { return ProxyChoice::Direct };
    let key = || format!("{}.proxy_url", of.path);
    let choice = match word {
        None => return ProxyChoice::Direct,
        Some(ProxyWord::Url(url)) => ProxyChoice::Always(url.clone()),
        Some(ProxyWord::Environment) => match Environment::read(|name| std::env::var_os(name)) {
            Ok(environment) => ProxyChoice::Environment(environment),
            Err((name, what)) => {
                let (what, help) =
                    what.split_once('\n').unwrap_or((&what, "correct it, or write the proxy here"));
                let message = format!("{name} of the environment: {what}");
                problems.push(Problem::new(place.clone(), key(), message).help(help));
                ProxyChoice::Direct
            }
        },
    };
    if of.keys.connect.is_none() {
        let message = "a proxy is for the end that connects, and this tunnel has no connect";
        problems.push(Problem::new(place.clone(), key(), message).help("leave it out, or add connect"));
    }
    zoned(of, &choice, problems);
    choice
}

/// A proxy cannot be asked for what only this machine knows.
fn zoned(of: &WrittenTunnelOf, choice: &ProxyChoice, problems: &mut Vec<Problem>) {
    for written in of.keys.connect.iter().flatten() {
        let to = written.value.first();
        if matches!(to.net(), Some((Host::Zoned(..), _))) && choice.of(to).is_some() {
            let message = "an interface of this machine means nothing to the proxy of proxy_url";
            let problem = Problem::new(written.place.clone(), format!("{}.connect", of.path), message);
            problems.push(problem.help("write a host and a port, or proxy_url = \"off\""));
        }
    }
}
