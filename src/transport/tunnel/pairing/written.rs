//! What pairing writes into files: fixed texts, with nothing in them that the other end has sent but the key it has proven.

use super::invite::Invite;
use super::{InviteId, Sha256};
use crate::transport::tunnel::identity::PublicKey;

/// What precedes an invite that is open.
const OPEN: &str = "\
# Who joins with this invite first is let in. Written by `loopgate tunnel invite`, of which it is the last word:
# a change of this file makes the invite void. To change what it permits, invite again.
";

/// What precedes a tunnel whose other end has joined.
const JOINED: &str =
    "# The other end of this tunnel has joined with an invite. From here on the file is yours.\n";

/// What precedes a tunnel at the end that joined.
const OTHER: &str = "# Written by `loopgate tunnel join`. The file is yours.\n";

/// An invite before it is sealed.
pub struct Unsealed<'u> {
    /// The key of the tunnel's table, as TOML has it.
    pub name: &'u str,
    /// What the invite says; its seal is made here.
    pub invite: Invite,
    /// `may_listen`, each as written: without quotes, backslashes and control characters.
    pub may_listen: &'u [String],
    /// `may_dial`, likewise.
    pub may_dial: &'u [String],
}

/// The file has been changed since it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

impl Unsealed<'_> {
    /// The text of its file; `None` if there is no hash to seal it with.
    pub fn text(&self) -> Option<String> {
        let text = |invite: &Invite| {
            let (listen, dial) = (list("may_listen", self.may_listen), list("may_dial", self.may_dial));
            format!("{OPEN}[tunnels.{}]\n{}{listen}{dial}", self.name, line(invite))
        };
        let seal = Sha256::of(without_seal(&text(&self.invite), &self.invite)?.as_bytes())?;
        Some(text(&Invite { seal, ..self.invite.clone() }))
    }
}

/// Whether a value can stand in one of these texts as it is.
pub fn is_plain(value: &str) -> bool {
    !value.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'))
}

/// The text that takes the place of the file of this invite, now that somebody with this key has joined.
///
/// # Errors
/// The file is no longer as it was written.
pub fn joined(file: &str, invite: &Invite, key: &PublicKey) -> Result<String, Changed> {
    let unsealed = without_seal(file, invite).ok_or(Changed)?;
    if Sha256::of(unsealed.as_bytes()) != Some(invite.seal) {
        return Err(Changed);
    }
    let rest = file.strip_prefix(OPEN).ok_or(Changed)?;
    let (before, after) = rest.split_once(&line(invite)).ok_or(Changed)?;
    Ok(format!("{JOINED}{before}public_key = \"{key}\"\n{after}"))
}

/// The tunnel of the end that joins: where it connects, by which proxy, and whom it expects there.
pub fn other(name: &str, connect: &str, proxy: Option<&str>, key: &PublicKey) -> String {
    let proxy = proxy.map(|url| format!("proxy_url = \"{url}\"\n")).unwrap_or_default();
    format!("{OTHER}[tunnels.{name}]\nconnect = \"{connect}\"\n{proxy}public_key = \"{key}\"\n")
}

fn line(invite: &Invite) -> String {
    format!("invite = \"{invite}\"\n")
}

fn list(key: &str, values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    if quoted.is_empty() { String::new() } else { format!("{key} = [{}]\n", quoted.join(", ")) }
}

/// The text without the seal of this invite, which stands in it once.
fn without_seal(text: &str, invite: &Invite) -> Option<String> {
    let (before, after) = text.split_once(&invite.seal.to_string())?;
    Some(format!("{before}{after}"))
}

/// The name of a file while it is written: hidden, so that no `include` takes it.
pub(super) fn unfinished(name: &str, id: InviteId) -> String {
    format!(".{name}.{id}.tmp")
}

#[cfg(test)]
mod tests {
    use super::super::Ticket;
    use super::super::invite::tests::invite;
    use super::*;

    const KEY: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

    /// The text of an invite, and the invite that a reader of it finds.
    fn sealed() -> (String, Invite) {
        let may_listen = ["0.0.0.0:8080".to_owned(), "[::1]:80".to_owned()];
        let invite = invite(&Ticket::random().unwrap());
        let unsealed = Unsealed { name: "home", invite, may_listen: &may_listen, may_dial: &[] };
        let text = unsealed.text().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix("invite = ")).unwrap();
        let invite = value.trim_matches('"').parse().unwrap();
        (text, invite)
    }

    #[test]
    fn the_key_takes_the_place_of_the_invite_and_what_it_permits_stays() {
        let (text, invite) = sealed();

        let joined = joined(&text, &invite, &KEY.parse().unwrap()).unwrap();

        assert_eq!(
            joined,
            format!(
                "{JOINED}[tunnels.home]\npublic_key = \"{KEY}\"\nmay_listen = [\"0.0.0.0:8080\", \"[::1]:80\"]\n"
            )
        );
    }

    #[test]
    fn a_file_that_was_changed_in_any_way_since_is_refused() {
        let (text, invite) = sealed();
        let key = KEY.parse().unwrap();
        let seal = invite.seal.to_string();
        for changed in [
            format!("{text}\n"),
            format!("{text}may_dial = [\"127.0.0.1:22\"]\n"),
            text.replace("0.0.0.0:8080", "0.0.0.0:22"),
            text.replace("[tunnels.home]", "[tunnels.away]"),
            text.replace("until=2033", "until=2034"),
            text.replace(&seal, &Sha256::of(b"x").unwrap().to_string()),
            format!("# {seal}\n{text}"),
            text.replace('\n', "\r\n"),
            text.lines().skip(1).collect::<Vec<_>>().join("\n"),
            String::new(),
        ] {
            assert_ne!(changed, text);
            assert_eq!(joined(&changed, &invite, &key), Err(Changed), "{changed}");
        }
        // A change whose own seal fits is another invite than the one that is known.
        let (other, _) = sealed();
        assert_eq!(joined(&other, &invite, &key), Err(Changed));
    }

    #[test]
    fn values_that_would_end_their_quotes_are_not_plain() {
        assert!(is_plain("0.0.0.0:8080") && is_plain("unix:/run/x y.sock"));
        for odd in ["a\"", "a\\", "a\nb", "a\u{7f}"] {
            assert!(!is_plain(odd), "{odd:?}");
        }
    }
}
