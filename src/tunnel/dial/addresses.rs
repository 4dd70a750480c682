//! Where the other end is, looked up at every try: its name may have moved.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::address::{Address, TargetAddress};
use crate::outcome::Cause;
use crate::transport::{self, Whereabouts};

/// How long a look-up is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

type Found = io::Result<Vec<Address>>;

/// The look-ups of one tunnel: one thread at a time, since nothing ends a call of the system's resolver.
#[derive(Default)]
pub(crate) struct LookUps {
    /// One that was given up, and its name: the next try for that name waits for it instead of asking again.
    running: Option<(String, oneshot::Receiver<Found>)>,
}

impl LookUps {
    /// The addresses of a target, in the order to try them.
    ///
    /// # Errors
    /// [`Cause::NoAddress`] if there is none, [`Cause::TimedOut`] if none is known in time, also while the look-up of
    /// another name hangs; else as of a dial.
    pub(crate) async fn addresses(&mut self, target: &TargetAddress) -> Result<Vec<Address>, Cause> {
        let (name, port) = match transport::whereabouts(target).map_err(|error| Cause::of_dial(&error))? {
            Whereabouts::At(addresses) => return Ok(addresses),
            Whereabouts::Name(name, port) => (name.to_owned(), port),
        };
        let wanted = format!("{name}:{port}");
        let mut running = match self.running.take() {
            None => (wanted.clone(), look_up(name, port).map_err(|error| Cause::of_dial(&error))?),
            Some(running) => running,
        };
        let found = timeout(PATIENCE, &mut running.1).await;
        let is_other = running.0 != wanted;
        match found {
            Ok(Ok(found)) if !is_other => found.map_err(|error| Cause::of_dial(&error)),
            // The thread has ended without an answer, or with that to another name.
            Ok(_) => Err(Cause::TimedOut),
            Err(_) => {
                self.running = Some(running);
                Err(Cause::TimedOut)
            }
        }
    }
}

fn look_up(name: String, port: u16) -> io::Result<oneshot::Receiver<Found>> {
    let (reply, answer) = oneshot::channel();
    let look_up = move || {
        let found = transport::look_up(&name).map(|found| {
            let at_port = found.into_iter().map(|mut address| {
                address.set_port(port);
                Address::Net(address)
            });
            at_port.collect()
        });
        // Whoever asked may be gone.
        let _ = reply.send(found);
    };
    // As for any other look-up, no thread is a cause of its own.
    let started = thread::Builder::new().name("lookup".into()).spawn(look_up);
    started.map(|_| answer).map_err(|error| io::Error::new(io::ErrorKind::QuotaExceeded, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    fn target(text: &str) -> TargetAddress {
        text.parse::<Run<TargetAddress>>().unwrap().first().clone()
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up_and_a_name_that_nobody_has_is_no_address() {
        let mut look_ups = LookUps::default();

        let there = look_ups.addresses(&target("127.0.0.1:4433")).await;
        let nowhere = look_ups.addresses(&target("loopgate-test.invalid:4433")).await;

        assert_eq!(there.unwrap()[0].to_string(), "127.0.0.1:4433");
        // Behind some resolvers the look-up only times out.
        assert!(matches!(nowhere, Err(Cause::NoAddress | Cause::TimedOut)), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_is_waited_for_and_not_repeated() {
        let (reply, answer) = oneshot::channel();
        let mut look_ups = LookUps { running: Some(("slow.example:1".into(), answer)) };
        reply.send(Ok(vec!["127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap().into()])).unwrap();

        let found = look_ups.addresses(&target("slow.example:1")).await;

        assert_eq!(found.unwrap().len(), 1);
        assert!(look_ups.running.is_none());
    }
}
