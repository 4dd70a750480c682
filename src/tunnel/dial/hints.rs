//! What to add at the other end, as lines to paste there.

use super::super::link::Terms;
use crate::address::TunnelName;
use crate::config::bare_or_quoted;
use crate::diagnosis::tunnel::{Offer, let_in_lines};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::message::WantedRoute;

/// Logs what the other end needs to let this machine in.
pub(crate) fn key_unknown_there(terms: &Terms) {
    let lines = lines(&terms.tunnel.name, &machine(), &terms.tunnel.private_key.public(), &asked(terms));
    tracing::warn!("tunnel" = %terms.tunnel.name, "{lines}");
}

/// What this machine may be called there, as a key of TOML: its own name, or `NAME` if no tunnel can have that.
pub(crate) fn machine() -> String {
    let machine = rustix::system::uname();
    of_machine(machine.nodename().to_str().unwrap_or_default())
}

fn of_machine(name: &str) -> String {
    name.parse::<TunnelName>().map_or("NAME".to_owned(), |name| bare_or_quoted(name.as_str()))
}

/// The routes that this end asks for, as the other end would permit them.
pub(crate) fn asked(terms: &Terms) -> Vec<Offer> {
    let offer = |it: WantedRoute| Offer { route: it.name, protocol: it.protocol, listen: it.listen };
    terms.offers().wanted().into_iter().map(offer).collect()
}

fn lines(tunnel: &TunnelName, machine: &str, key: &PublicKey, asked: &[Offer]) -> String {
    let head = format!("{tunnel} does not let this machine in. There, add:");
    let lines = let_in_lines(machine, &key.to_string(), asked).into_iter().map(|line| format!("\n  {line}"));
    lines.fold(head, |text, line| text + &line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Protocol;

    const KEY: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn shown(machine: &str, asked: &[&str]) -> String {
        let listen = asked.iter().map(|address| (*address).to_owned()).collect();
        let offer = Offer { route: "web".into(), protocol: Protocol::Tcp, listen };
        lines(&"vps".parse().unwrap(), &of_machine(machine), &KEY.parse().unwrap(), &[offer])
    }

    #[test]
    fn what_is_to_be_added_there_can_be_pasted() {
        assert_eq!(
            shown("laptop", &["0.0.0.0:8080", "127.0.0.1:0"]),
            format!(
                "vps does not let this machine in. There, add:\n  [tunnels.laptop]\n  public_key = \"{KEY}\"\n  \
                 may_listen = [\"0.0.0.0:8080\", \"127.0.0.1:0\"]"
            )
        );
    }

    #[test]
    fn a_machine_whose_name_is_none_for_a_tunnel_is_left_to_the_reader() {
        assert!(shown("laptop.example.org", &[]).contains("[tunnels.\"laptop.example.org\"]"));
        for none in ["", "17", "a b", "x]\ny"] {
            assert!(shown(none, &[]).contains("\n  [tunnels.NAME]\n"), "{none:?}");
        }
        assert!(!shown("laptop", &[]).contains("may_listen"));
    }
}
