//! Datagrams of a control by QUIC, for as long as the plan wants that.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::control::Control;
use super::super::datagrams::Hub;
use super::super::link::{Link, Terms};
use super::super::quic::Dialling;
use super::attempt::Entered;
use super::way::Way;
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::line::FlowsBy;
use crate::transport::tunnel::message::Datagrams;

/// What connects, and with what.
pub(super) struct ByQuic {
    link: Arc<Link>,
    hub: Arc<Hub>,
    control: Control,
    peer: SocketAddr,
    host: String,
    key: PublicKey,
    welcome: Option<Datagrams>,
    /// A proxy on the way has connections pass, and no datagrams.
    is_direct: bool,
}

impl ByQuic {
    /// For a control that was let in.
    pub(super) fn of(
        link: &Arc<Link>,
        entered: &Entered,
        (way, host): (&Way, &str),
        hub: &Arc<Hub>,
        control: &Control,
    ) -> ByQuic {
        ByQuic {
            link: link.clone(),
            hub: hub.clone(),
            control: control.clone(),
            peer: entered.peer,
            host: host.to_owned(),
            key: entered.key,
            welcome: entered.welcome.datagrams,
            is_direct: matches!(way, Way::Direct(_)),
        }
    }

    /// Connects for as long as it is polled; see [`Dialling::keep`].
    pub(super) async fn run(
        mut self,
        offers: watch::Receiver<Option<Datagrams>>,
        nudges: watch::Receiver<u64>,
    ) {
        let mut changes = self.link.changes();
        loop {
            let terms = changes.borrow_and_update().clone();
            let wanted = |terms: &Terms| self.is_direct && terms.plan.tunnels.datagrams == FlowsBy::Quic;
            let wants = wanted(&terms);
            let dialling = Dialling {
                quic: self.link.quic.clone(),
                name: self.link.name.clone(),
                own: terms.tunnel.private_key.clone(),
                peer: self.peer,
                host: self.host.clone(),
                key: self.key,
                control: self.control.clone(),
                flows: self.hub.of_quic(),
                by: self.link.datagrams_by.clone(),
            };
            let kept = async {
                match wants {
                    true => dialling.keep(self.welcome.take(), offers.clone(), nudges.clone()).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = kept => return,
                changed = changes.wait_for(|terms| wanted(terms) != wants) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
