//! The step *secure* of a route that reads hellos: finds the name that a TLS client asks for, and so its targets.
//!
//! The hello stays where it is: it is the first thing that the target reads, and from a socket the kernel may splice it there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::front::Front;
use super::state::Session;
use crate::client_hello::{Alert, Fault, MAX_BYTES, Reader, Seen, looks_like};
use crate::engine::runtime::by_hello::{ByHello, Speaks};
use crate::engine::runtime::context::RouteRuntime;
use crate::outcome::End;
use crate::transport::Undecided;
use crate::units::Seconds;

/// What the first bytes show about a client.
enum FirstBytes {
    /// A hello, with the name that it asks for, if any.
    Hello {
        name: Option<String>,
        chosen: Option<Arc<RouteRuntime>>,
    },
    NotTls,
    Broken(Fault),
}

/// Chooses targets by the client's hello; also returns whether it speaks TLS. A TLS client that is refused has been
/// sent an alert with the reason.
///
/// Cancel safe: the bytes stay where they are.
pub(super) async fn choose(
    client: &mut Front<'_>,
    session: &Session,
    by: &ByHello<RouteRuntime>,
) -> Result<(Arc<RouteRuntime>, Speaks), End> {
    let mut reader = Reader::default();
    let looked = timeout(by.patience, client.look(MAX_BYTES, |bytes| classify(by, reader.read(bytes)))).await;
    let seen = client.seen();
    let first = match looked {
        Ok(Ok(first)) => first,
        Ok(Err(Undecided::Full)) => FirstBytes::Broken(Fault::TooLong),
        Ok(Err(Undecided::Broken(_))) => return Err(client.gone(session)),
        Ok(Err(Undecided::Ended)) if seen.is_empty() => return Err(End::ClientGone),
        Ok(Err(Undecided::Ended)) => {
            session.entry.hint(format!("it closed after {} bytes of its hello", seen.len()));
            return Err(End::TlsFailed);
        }
        // A client that waits for the server to speak first does not speak TLS.
        Err(_) if seen.is_empty() && by.not_tls.is_some() => FirstBytes::NotTls,
        Err(_) => {
            session.entry.hint(too_slow(seen.len(), by.patience));
            return Err(End::SlowClient);
        }
    };
    let (end, alert) = match first {
        FirstBytes::Hello { name, chosen } => {
            let hint = no_target(name.as_deref());
            name.into_iter().for_each(|name| session.entry.name(name));
            if let Some(chosen) = chosen {
                return Ok((chosen, Speaks::Tls));
            }
            session.entry.hint(hint);
            (End::NoName, Alert::UnrecognizedName)
        }
        FirstBytes::NotTls => {
            if let Some(not_tls) = &by.not_tls {
                return Ok((not_tls.clone(), Speaks::Other));
            }
            session.entry.hint(not_tls(seen));
            return Err(End::TlsFailed);
        }
        FirstBytes::Broken(fault) => {
            session.entry.hint(fault.to_string());
            (End::TlsFailed, fault.alert())
        }
    };
    client.last_words(&alert.record(), session.runtime.route.reset_linger).await;
    Err(end)
}

/// What the bytes show, once there are enough.
fn classify(by: &ByHello<RouteRuntime>, seen: Seen<'_>) -> Option<FirstBytes> {
    Some(match seen {
        Seen::Part(_) => return None,
        Seen::Other => FirstBytes::NotTls,
        Seen::Broken(fault) => FirstBytes::Broken(fault),
        Seen::Hello(hello) => {
            FirstBytes::Hello { name: hello.server_name().map(requested), chosen: by.of(&hello).cloned() }
        }
    })
}

/// The longest name that is recorded whole, in characters; DNS names are not longer.
const MAX_NAME: usize = 255;

/// The name that a client asks for, as the record has it: its bytes may be any.
fn requested(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    match name.char_indices().nth(MAX_NAME) {
        Some((cut, _)) => format!("{}…", &name[..cut]),
        None => name,
    }
}

fn no_target(name: Option<&str>) -> String {
    match name {
        Some(_) => "no target for this name: add it to names, or set target for all others".into(),
        None => "it asks for no name: set target for such clients".into(),
    }
}

/// How many bytes of an unknown protocol are shown.
const MAX_BYTES_SHOWN: usize = 8;

fn not_tls(seen: &[u8]) -> String {
    match looks_like(seen) {
        Some(protocol) => format!("it speaks {protocol}, not TLS: set not_tls for such clients"),
        None => {
            let first = &seen[..seen.len().min(MAX_BYTES_SHOWN)];
            format!(
                "it does not speak TLS, but began with \"{}\": set not_tls for such clients",
                first.escape_ascii()
            )
        }
    }
}

fn too_slow(seen: usize, patience: Duration) -> String {
    match seen {
        0 => format!("it sent nothing for {}: see hello_timeout", Seconds(patience)),
        _ => format!("it sent {seen} bytes of a hello in {}: see hello_timeout", Seconds(patience)),
    }
}
