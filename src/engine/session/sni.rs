//! The step *secure* of a route that looks at hellos: learns whom a TLS client asks for, and so which targets it goes to.
//!
//! Nothing is taken from the client: its hello is the first that its target reads, and the kernel may move it there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::state::Session;
use crate::client_hello::{Alert, Fault, MAX_BYTES, Reader, Seen, looks_like};
use crate::engine::runtime::by_hello::{ByHello, Speaks};
use crate::engine::runtime::context::RouteRuntime;
use crate::outcome::End;
use crate::probe::printable;
use crate::relay::last_words;
use crate::transport::{Stream, Undecided, peek};
use crate::units::Seconds;

/// What a client was found to be.
enum Heard {
    /// It asks for a name, maybe, which is fit to be shown.
    Hello {
        name: Option<String>,
        chosen: Option<Arc<RouteRuntime>>,
    },
    NotTls,
    Broken(Fault),
}

/// Chooses by the client's hello; says as well what it speaks. A client that is turned away was told why by then, in the one way TLS has for it.
///
/// Cancel safe: the bytes stay in the socket.
pub(crate) async fn choose(
    client: &Stream,
    session: &Session,
    by: &ByHello<RouteRuntime>,
) -> Result<(Arc<RouteRuntime>, Speaks), End> {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    let looking = peek(client, &mut seen, MAX_BYTES, |bytes| hear(by, reader.read(bytes)));
    let heard = match timeout(by.patience, looking).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(Undecided::Full)) => Heard::Broken(Fault::TooLong),
        Ok(Err(Undecided::Broken(_))) => return Err(End::ClientGone),
        Ok(Err(Undecided::Ended)) if seen.is_empty() => return Err(End::ClientGone),
        Ok(Err(Undecided::Ended)) => {
            session.entry.hint(format!("it closed after {} bytes of its hello", seen.len()));
            return Err(End::TlsFailed);
        }
        // Who waits for the other side to speak first speaks no TLS.
        Err(_) if seen.is_empty() && by.not_tls.is_some() => Heard::NotTls,
        Err(_) => {
            session.entry.hint(too_slow(seen.len(), by.patience));
            return Err(End::SlowClient);
        }
    };
    let (end, alert) = match heard {
        Heard::Hello { name, chosen } => {
            let hint = nobody(name.as_deref());
            name.into_iter().for_each(|name| session.entry.name(name));
            if let Some(chosen) = chosen {
                return Ok((chosen, Speaks::Tls));
            }
            session.entry.hint(hint);
            (End::NoName, Alert::UnrecognizedName)
        }
        Heard::NotTls => {
            if let Some(not_tls) = &by.not_tls {
                return Ok((not_tls.clone(), Speaks::Other));
            }
            session.entry.hint(not_tls(&seen));
            return Err(End::TlsFailed);
        }
        Heard::Broken(fault) => {
            session.entry.hint(fault.to_string());
            (End::TlsFailed, fault.alert())
        }
    };
    last_words(client, &alert.record(), session.runtime.route.reset_linger).await;
    Err(end)
}

/// What a client is, once enough of it was seen.
fn hear(by: &ByHello<RouteRuntime>, seen: Seen<'_>) -> Option<Heard> {
    Some(match seen {
        Seen::Part(_) => return None,
        Seen::Other => Heard::NotTls,
        Seen::Broken(fault) => Heard::Broken(fault),
        Seen::Hello(hello) => {
            Heard::Hello { name: hello.server_name().map(shown), chosen: by.of(&hello).cloned() }
        }
    })
}

/// The longest name that is shown whole, in characters; DNS carries none that is longer.
const MAX_SHOWN: usize = 255;

/// A name as it is shown: a stranger chose its bytes.
fn shown(name: &[u8]) -> String {
    printable(&String::from_utf8_lossy(name), MAX_SHOWN).to_ascii_lowercase()
}

fn nobody(name: Option<&str>) -> String {
    match name {
        Some(_) => "no target for this name: add it to names, or write target for all others".into(),
        None => "it asks for no name: write target for such clients".into(),
    }
}

/// Bytes of a stranger that are shown where nothing better is known.
const MAX_BYTES_SHOWN: usize = 8;

fn not_tls(seen: &[u8]) -> String {
    match looks_like(seen) {
        Some(protocol) => format!("it speaks no TLS but {protocol}: write not_tls for such clients"),
        None => {
            let first = &seen[..seen.len().min(MAX_BYTES_SHOWN)];
            format!(
                "it speaks no TLS, but began with \"{}\": write not_tls for such clients",
                first.escape_ascii()
            )
        }
    }
}

fn too_slow(seen: usize, patience: Duration) -> String {
    match seen {
        0 => format!("it said nothing for {}: see hello_timeout", Seconds(patience)),
        _ => format!("it sent {seen} bytes of a hello in {}: see hello_timeout", Seconds(patience)),
    }
}
