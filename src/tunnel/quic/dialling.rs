//! The end that connects, for the life of one control.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quinn::{ConnectError, Connection, ConnectionError, VarInt};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::carry::{Carry, Code, Ended};
use super::course::{By, Course};
use super::means::QuicMeans;
use super::{Flows, Quic};
use crate::address::TunnelName;
use crate::transport::tunnel::identity::{self, PrivateKey, PublicKey};
use crate::transport::tunnel::message::{Datagrams, Message};
use crate::transport::tunnel::quic::{self, Connected};
use crate::tunnel::control::Control;

/// How long a try may take, from the first packet to the first answer of the other end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name that is no name is not asked for in TLS; nor is this.
const NO_NAME: &str = "127.0.0.1";

/// What connects.
pub(crate) struct Dialling {
    pub(crate) quic: Arc<Quic>,
    pub(crate) name: TunnelName,
    /// The key of this machine.
    pub(crate) own: Arc<PrivateKey>,
    /// The address that the control has reached; only its port is another.
    pub(crate) peer: SocketAddr,
    /// The name that is asked for in TLS.
    pub(crate) host: String,
    /// The key that the other end of the control has proven: no other will do.
    pub(crate) key: PublicKey,
    pub(crate) control: Control,
    pub(crate) flows: Flows,
    /// What was told last; it outlives the control.
    pub(crate) by: Arc<Mutex<By>>,
}

/// A connection that carries flows.
struct Up {
    means: Arc<QuicMeans>,
    carried: JoinSet<Ended>,
}

impl Dialling {
    /// Connects for as long as it is polled: at once with the token of WELCOME, and again with those that the other end sends
    /// when it is asked (`offers`). `nudges` changes when the network may have.
    ///
    /// Dropped, it closes the connection; the flows are told.
    pub(crate) async fn keep(
        &self,
        welcome: Option<Datagrams>,
        mut offers: watch::Receiver<Option<Datagrams>>,
        mut nudges: watch::Receiver<u64>,
    ) {
        let mut course = Course::new(Instant::now());
        let mut first = welcome;
        nudges.mark_unchanged();
        loop {
            tokio::select! {
                () = sleep_until(course.due().into()) => {}
                Ok(()) = nudges.changed() => {
                    course.nudged(Instant::now());
                    continue;
                }
            }
            course.tries(Instant::now());
            let offer = match first.take() {
                Some(offer) => Some(offer),
                None => self.ask(&mut offers).await,
            };
            let tried = match offer {
                Some(offer) => timeout(PATIENCE, self.connect(offer)).await.unwrap_or(Err("timed_out")),
                None => Err("not_offered"),
            };
            match tried {
                Ok(up) => {
                    self.told(By::Quic);
                    let why = self.carry(up, &mut nudges).await;
                    course.ended(Instant::now());
                    self.told(By::Tls(why));
                }
                Err(why) => self.told(By::Tls(why)),
            }
        }
    }

    /// A fresh token.
    async fn ask(&self, offers: &mut watch::Receiver<Option<Datagrams>>) -> Option<Datagrams> {
        offers.mark_unchanged();
        self.control.send(Message::AskDatagrams).await;
        timeout(PATIENCE, offers.changed()).await.ok()?.ok()?;
        *offers.borrow_and_update()
    }

    /// Connects, shows the token, and waits until the other end has answered.
    async fn connect(&self, offer: Datagrams) -> Result<Up, &'static str> {
        let connection = self.shake(offer.port).await?;
        let (mut send, recv) = connection.open_bi().await.map_err(|error| lost(&error))?;
        send.write_all(&offer.token.0).await.map_err(|_| "failed")?;
        let means = Arc::new(QuicMeans::new());
        let (arrivals, up) = (self.flows.arrivals.clone(), oneshot::channel());
        let carry = Carry { connection, send, recv, arrivals, means: means.clone() };
        let thread = self.quic.thread.get().map_err(|_| "failed")?;
        let mut carried = JoinSet::new();
        carried.spawn_on(carry.run(up.0), &thread.handle);
        match up.1.await {
            Ok(()) => Ok(Up { means, carried }),
            // It has ended.
            Err(_) => Err(why(carried.join_next().await)),
        }
    }

    async fn shake(&self, port: u16) -> Result<Connection, &'static str> {
        let mut to = self.peer;
        to.set_port(port);
        let tls = identity::Dialling::new(&self.own, &[self.key]);
        let config = quic::client(&tls).map_err(|_| "failed")?;
        let endpoint = self.quic.endpoint(to.ip()).map_err(|_| "failed")?;
        let connecting = endpoint.connect_with(config.clone(), to, &self.host);
        let connecting = match connecting {
            Err(ConnectError::InvalidServerName(_)) => endpoint.connect_with(config, to, NO_NAME),
            connecting => connecting,
        };
        // An error of its socket has ended it; the next try has another.
        if let Err(ConnectError::EndpointStopping) = connecting {
            self.quic.forget(to.ip());
        }
        let connection = connecting.map_err(|_| "failed")?.await.map_err(|error| lost(&error))?;
        match quic::connected(connection.clone()) {
            Some(Connected { connection, key }) if key == self.key => Ok(connection),
            _ => {
                connection.close(VarInt::from_u32(Code::Protocol as u32), b"");
                Err("wrong_key")
            }
        }
    }

    /// Has the flows use the connection until it ends; returns why it did.
    async fn carry(&self, up: Up, nudges: &mut watch::Receiver<u64>) -> &'static str {
        let Up { means, mut carried } = up;
        let _used = Used::new(&self.flows, means.clone());
        loop {
            tokio::select! {
                ended = carried.join_next() => return why(ended),
                // If it does not answer, it is silent. If its way leads from another address now, the other end follows.
                Ok(()) = nudges.changed() => {
                    means.ask();
                    means.is_sent();
                }
            }
        }
    }

    fn told(&self, now: By) {
        tell(&self.name, &self.by, now);
    }
}

/// Tells by what the datagrams of a tunnel go, if that is news.
pub(super) fn tell(name: &TunnelName, by: &Mutex<By>, now: By) {
    let line = match &now {
        By::Quic => "datagrams by quic".to_owned(),
        By::Tls(cause) => format!("datagrams by tls: {cause}"),
        By::Untold => return,
    };
    if by.lock().unwrap_or_else(PoisonError::into_inner).is_news(now) {
        tracing::info!("tunnel" = %name, "tunnel={name} {line}");
    }
}

/// The flows use a connection for as long as this lives.
pub(super) struct Used<'f>(&'f Flows);

impl<'f> Used<'f> {
    pub(super) fn new(flows: &'f Flows, means: Arc<QuicMeans>) -> Used<'f> {
        (flows.set_quic)(Some(means));
        Used(flows)
    }
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        (self.0.set_quic)(None);
    }
}

/// The word for the end of a connection.
pub(super) fn why(ended: Option<Result<Ended, tokio::task::JoinError>>) -> &'static str {
    match ended {
        Some(Ok(Ended::Closed(error))) => lost(&error),
        Some(Ok(Ended::Protocol(_))) => "protocol",
        Some(Ok(Ended::Silent | Ended::Overload)) => "timed_out",
        Some(Err(_)) | None => "failed",
    }
}

fn lost(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::TimedOut => "timed_out",
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) => "closed",
        ConnectionError::Reset => "reset",
        _ => "failed",
    }
}
