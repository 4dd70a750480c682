//! The step *identify*: reads the PROXY header with which a proxy names its client.

use std::time::Duration;

use tokio::time::timeout_at;

use super::front::Front;
use super::state::Session;
use crate::outcome::{Client, End};
use crate::proxy_protocol::{self, Ends, Header, LONGEST};
use crate::transport::Undecided;
use crate::units::Seconds;

/// How many of the bytes that a client sent instead of a header are quoted.
const MAX_QUOTED: usize = 40;

/// Reads the header with which this connection must begin, to its last byte and no further, and records the client that
/// it names.
pub(super) async fn identify(client: &mut Front<'_>, session: &Session) -> Result<Header, End> {
    let patience = session.runtime.route.proxy.patience;
    let header = match read(client, session, patience).await {
        Ok(header) => header,
        Err(Wrong::Gone) => return Err(client.gone(session)),
        Err(Wrong::Header(why)) => {
            session.entry.hint(described(session.entry.client(), &why, client.seen()));
            return Err(End::BadHeader);
        }
    };
    if let Ends::Net { client, .. } = header.ends {
        session.entry.identify(Client::Net(client));
    }
    Ok(header)
}

enum Wrong {
    /// The connection broke.
    Gone,
    /// There is no header, for this reason.
    Header(String),
}

async fn read(client: &mut Front<'_>, session: &Session, patience: Duration) -> Result<Header, Wrong> {
    let deadline = session.entry.started() + patience;
    let looked = timeout_at(deadline.into(), client.look(LONGEST, proxy_protocol::read)).await;
    let decided = match looked {
        Ok(Ok(decided)) => decided,
        Ok(Err(Undecided::Broken(_))) => return Err(Wrong::Gone),
        Ok(Err(Undecided::Ended)) => {
            return Err(Wrong::Header("the connection ended before it was complete".to_owned()));
        }
        Ok(Err(Undecided::Full)) => return Err(Wrong::Header(format!("it is longer than {LONGEST} bytes"))),
        Err(_) => {
            let why = format!("it did not arrive within {} (accept_proxy_timeout)", Seconds(patience));
            return Err(Wrong::Header(why));
        }
    };
    let (header, length) = decided.map_err(|malformed| Wrong::Header(malformed.to_string()))?;
    client.take(length).map_err(|_| Wrong::Gone)?;
    Ok(header)
}

fn described(client: Client, why: &str, seen: &[u8]) -> String {
    let quoted = seen[..seen.len().min(MAX_QUOTED)].escape_ascii();
    let cut = if seen.len() > MAX_QUOTED { "…" } else { "" };
    let sent = if seen.is_empty() { "nothing".to_owned() } else { format!("\"{quoted}{cut}\"") };
    format!("{client} is in accept_proxy and must send a PROXY header first: {why}; it sent {sent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_instead_cannot_disturb_a_terminal() {
        let client = Client::Net(([127, 0, 0, 1], 7).into());

        let hint = described(client, "it is none", b"GET /\r\n\x1b[2J\xff\"");
        let long = described(client, "it is none", &[b'x'; 300]);

        assert_eq!(
            hint,
            r#"127.0.0.1:7 is in accept_proxy and must send a PROXY header first: it is none; it sent "GET /\r\n\x1b[2J\xff\"""#
        );
        assert!(long.ends_with("xxx…\"") && long.len() < 200, "{long}");
    }
}
