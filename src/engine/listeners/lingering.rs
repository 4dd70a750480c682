//! UDP sockets whose address no route wants as such any more, and which cannot be closed yet.
//!
//! Flows answer through the socket that their client has sent to. While it is open it also takes every datagram for its
//! address, those of new clients too, before a socket of 0.0.0.0 or \[::\] on the same port. So where such a socket is
//! wanted now, the old one becomes its alias: new clients are carried along the route of the wide one. An alias is closed
//! once nobody uses it, and with the wide socket it stops to take new clients.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::any::AnyListener;
use super::bind::{Port, WantedBy, covering, is_given_away};
use crate::engine::runtime::context::Context;
use crate::engine::udp::UdpListener;

/// All of them, by the port that was wanted.
#[derive(Default)]
pub(crate) struct Lingering(BTreeMap<Port, Remaining>);

struct Remaining {
    listener: UdpListener,
    /// The owner of the wide socket whose alias it is.
    alias_of: Option<WantedBy>,
}

impl Lingering {
    /// Takes the UDP listeners out of `unwanted` that become an alias of a wanted one: they go on without a pause.
    pub(crate) fn keep_aliases(
        &mut self,
        unwanted: Vec<(Port, AnyListener)>,
        wanted: &BTreeMap<Port, WantedBy>,
        cx: &Context,
    ) -> Vec<(Port, AnyListener)> {
        let mut others = Vec::new();
        for (port, listener) in unwanted {
            let number = listener.address().net().map_or(0, |address| address.port());
            match (listener, covering(&port, number, wanted)) {
                (AnyListener::Udp(listener), Some((wide, by))) => {
                    tracing::info!(
                        "{}/udp stays open beside {}/udp until it is idle, as its clients are answered through it; new \
                         ones belong to {}",
                        listener.address,
                        wide.address(),
                        by.owner()
                    );
                    let mut remaining = Remaining { listener, alias_of: None };
                    remaining.serve(by, cx);
                    self.0.insert(port, remaining);
                }
                (listener, _) => others.push((port, listener)),
            }
        }
        others
    }

    /// Adds retired listeners through which flows still answer.
    pub(crate) fn extend(&mut self, retired: Vec<(Port, UdpListener)>) {
        let retired = retired.into_iter();
        self.0.extend(retired.map(|(port, listener)| (port, Remaining { listener, alias_of: None })));
    }

    /// Closes those whose address a service has now, and ends their flows.
    pub(crate) async fn give_way(&mut self, wanted: &BTreeMap<Port, WantedBy>) {
        let is_gone = |port: &Port, it: &Remaining| is_given_away(port, it.listener.address.port(), wanted);
        let gone: Vec<_> = self.0.extract_if(.., |port, it| is_gone(port, it)).collect();
        for (_, remaining) in gone {
            remaining.listener.close().await;
        }
    }

    /// Makes each the alias of what covers its address now; those that nothing covers take no new clients.
    pub(crate) async fn follow(&mut self, wanted: &BTreeMap<Port, WantedBy>, cx: &Context) {
        for (port, remaining) in &mut self.0 {
            match covering(port, remaining.listener.address.port(), wanted) {
                Some((_, by)) if remaining.alias_of.as_ref().is_some_and(|now| now.is_same(by)) => {}
                Some((_, by)) => remaining.serve(by, cx),
                None if remaining.alias_of.take().is_some() => remaining.listener.retire().await,
                None => {}
            }
        }
    }

    /// Closes those that nobody uses any more.
    pub(crate) async fn close_unused(&mut self, cx: &Context) {
        let unused = self.0.iter().filter(|(_, it)| !it.listener.has_flows()).map(|(port, _)| port.clone());
        for port in unused.collect::<Vec<_>>() {
            let Some(remaining) = self.0.remove(&port) else { continue };
            if let Some(by) = &remaining.alias_of {
                // What has arrived meanwhile is carried first, and may begin a flow.
                remaining.listener.retire().await;
                if remaining.listener.has_flows() {
                    let (listener, by) = (remaining.listener, by.clone());
                    let mut remaining = Remaining { listener, alias_of: None };
                    remaining.serve(&by, cx);
                    self.0.insert(port, remaining);
                    continue;
                }
            }
            remaining.listener.close().await;
        }
    }

    /// Takes out those that are wanted again as they are.
    pub(crate) fn take_wanted(&mut self, wanted: &BTreeMap<Port, WantedBy>) -> Vec<(Port, AnyListener)> {
        let back = self.0.extract_if(.., |port, _| wanted.contains_key(port));
        back.map(|(port, remaining)| (port, AnyListener::Udp(remaining.listener))).collect()
    }

    pub(crate) fn contains(&self, port: &Port) -> bool {
        self.0.contains_key(port)
    }

    /// Each with its number and its socket.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (&Port, u16, &OwnedFd)> {
        self.0.iter().map(|(port, it)| (port, it.listener.address.port(), it.listener.socket()))
    }
}

impl Remaining {
    fn serve(&mut self, by: &WantedBy, cx: &Context) {
        // A UDP port of a service covers none: see `covering`.
        if let WantedBy::Route(route) = by {
            self.listener.serve(&cx.udp, route);
            self.alias_of = Some(by.clone());
        }
    }
}
