//! What to add at the other end, as lines to paste there.

use super::super::link::Terms;
use crate::address::TunnelName;
use crate::transport::tunnel::identity::PublicKey;

/// Logs what the other end needs to let this machine in.
pub(crate) fn key_unknown_there(terms: &Terms) {
    let tunnel = &terms.tunnel;
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_str().unwrap_or_default();
    let asked: Vec<&str> = terms.offers().addresses().collect();
    let lines = lines(&tunnel.name, machine, &tunnel.private_key.public(), &asked);
    tracing::warn!("tunnel" = %tunnel.name, "{lines}");
}

fn lines(tunnel: &TunnelName, machine: &str, key: &PublicKey, asked: &[&str]) -> String {
    let own = machine.parse::<TunnelName>().map_or("NAME".to_owned(), |name| bare_or_quoted(&name));
    let head = format!("{tunnel} does not let this machine in. There, add:");
    let mut lines = vec![head, format!("  [tunnels.{own}]"), format!("  public_key = \"{key}\"")];
    if !asked.is_empty() {
        let asked: Vec<String> = asked.iter().map(|address| format!("\"{address}\"")).collect();
        lines.push(format!("  may_listen = [{}]", asked.join(", ")));
    }
    lines.join("\n")
}

/// A bare key of TOML has no dots, and only letters of ASCII.
fn bare_or_quoted(name: &TunnelName) -> String {
    let is_bare = name.as_str().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_bare { name.to_string() } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn shown(machine: &str, asked: &[&str]) -> String {
        lines(&"vps".parse().unwrap(), machine, &KEY.parse().unwrap(), asked)
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
