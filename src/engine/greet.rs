//! The step *greet*: what the target has to be told before anything else.

use std::io;

use tokio::time::timeout;

use super::session::{Session, Unfinished};
use crate::outcome::{Cause, Client, End};
use crate::proxy_protocol::{Ends, Form, Header, Tlvs};
use crate::transport::{Stream, local_address};

/// Sends the header that announces the client to the target, within the time that reaching the target may take. What an
/// accepted header says is passed on: a chain of proxies names the first one's client.
pub(super) async fn greet(
    target: &Stream,
    form: Form,
    client: &Stream,
    header: Option<&Header>,
    session: &Session,
) -> Result<(), End> {
    let bytes = match header {
        Some(Header { ends: Ends::Own, tlvs }) => form.announce(&ends(client, session.entry.client()), tlvs),
        Some(Header { ends, tlvs }) => form.announce(ends, tlvs),
        None => form.announce(&ends(client, session.entry.client()), &Tlvs::default()),
    };
    // Half a header must not end like a whole one.
    let unfinished = Unfinished(target);
    match timeout(session.serving.route.dial.connect_timeout, target.send_all(&bytes)).await {
        Ok(Ok(())) => {
            unfinished.disarm();
            Ok(())
        }
        Ok(Err(error)) => Err(end_of(&error)),
        Err(_) => Err(End::NoTarget(Cause::TimedOut)),
    }
}

/// A target that closes at once meets the header with a reset.
fn end_of(error: &io::Error) -> End {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => End::TargetReset,
        _ => End::NoTarget(Cause::of_dial(error)),
    }
}

/// The ends of the client's connection as the kernel has them. A client of a Unix socket has none that would tell who it
/// is, and HAProxy refuses headers of that family: it is told as a connection of our own, as HAProxy itself tells it. A
/// socket that can no longer say has lost its client, which the relay will find out.
fn ends(stream: &Stream, client: Client) -> Ends {
    match client {
        Client::Net(client) => {
            local_address(stream).map_or(Ends::Own, |destination| Ends::Net { client, destination })
        }
        Client::Unix { .. } => Ends::Own,
    }
}
