//! One flow at run time, and its outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::datagram::Piece;
use super::flow_table::Account;
use super::hops::Entered;
use super::path::Path;
use super::target::UdpTarget;
use crate::address::Address;
use crate::engine::admission::queue::Permit;
use crate::ledger::{Entry, Meter};
use crate::limits::Policer;
use crate::outcome::{Attempt, Cause, Datagrams, DropReason, End, Outcome, Phase, Timing, Way};
use crate::sys::datagrams::Arrival;

/// A client's datagrams to one target and back.
pub(super) struct Flow {
    pub(super) path: Path,
    pub(super) entry: Entry,
    pub(super) target: Arc<UdpTarget>,
    pub(super) account: Account,
    /// Its entry among the flows that send to this machine.
    pub(super) _entered: Option<Entered>,
    pub(super) first_answer: Option<Instant>,
    /// The drop count of the target's own socket when the flow began.
    pub(super) target_dropped_before: u64,
    /// The latest batch it took part in, and how many datagrams it took of it.
    pub(super) batch: (u32, u32),
    /// Whether its datagrams may be joined into trains: until its path refuses one.
    pub(super) joins: bool,
    /// Its rates, on a route with a bandwidth.
    pub(super) policer: Option<Box<Policer>>,
    /// Its permit, on a route with limits.
    pub(super) permit: Option<Permit>,
    /// How the datagrams of a client in a tunnel travelled; known at the end.
    pub(super) way: Option<Way>,
}

impl Flow {
    pub(super) fn meter(&self) -> &Meter {
        self.entry.meter()
    }

    /// How much of this batch it has taken.
    pub(super) fn taken(&self, batch: u32) -> u32 {
        if self.batch.0 == batch { self.batch.1 } else { 0 }
    }

    pub(super) fn take(&mut self, batch: u32) {
        self.batch = (batch, self.taken(batch) + 1);
    }

    /// What of a client's piece the rates let pass; the rest is counted as dropped.
    pub(super) fn pass_up<'a>(&mut self, piece: Piece<'a>, now: Instant) -> Option<Piece<'a>> {
        let Some(policer) = &self.policer else { return Some(piece) };
        let (passes, rest) = piece.split(policer.up(piece.lengths(), now));
        if let Some(rest) = rest {
            self.dropped_up(DropReason::OverRate, rest.count(), rest.bytes.len());
        }
        passes
    }

    /// The same of an answer.
    pub(super) fn pass_down<'a>(&mut self, piece: Piece<'a>, now: Instant) -> Option<Piece<'a>> {
        let Some(policer) = &self.policer else { return Some(piece) };
        let (passes, rest) = piece.split(policer.down(piece.lengths(), now));
        if let Some(rest) = rest {
            self.account.dropped_down(DropReason::OverRate, rest.count());
        }
        passes
    }

    /// What of an answer that was received may be sent; the rest is counted as dropped.
    pub(super) fn take_answer<'a>(&mut self, arrival: &Arrival<'a>, now: Instant) -> Option<Piece<'a>> {
        self.meter().down.read(arrival.bytes.len());
        if arrival.cut {
            self.account.dropped_down(DropReason::Truncated, arrival.count());
            return None;
        }
        let admitted = self.account.admits(arrival.from, arrival.count(), arrival.bytes.len());
        let piece = Piece { bytes: arrival.bytes, segment: arrival.segment };
        admitted.then(|| self.pass_down(piece, now)).flatten()
    }

    /// Counts what the target's kernel took.
    pub(super) fn delivered_up(&mut self, datagrams: u64, bytes: usize) {
        self.account.asks(datagrams, bytes);
        self.account.delivered_up(datagrams);
        self.meter().up.read(bytes);
        self.meter().up.delivered(bytes);
    }

    /// Counts what came from the client and was dropped.
    pub(super) fn dropped_up(&mut self, why: DropReason, datagrams: u64, bytes: usize) {
        self.account.asks(datagrams, bytes);
        self.account.dropped_up(why, datagrams);
        self.meter().up.read(bytes);
    }

    /// Counts what the client's kernel took.
    pub(super) fn delivered_down(&mut self, datagrams: u64, bytes: usize) {
        self.account.delivered_down(datagrams);
        self.meter().down.delivered(bytes);
    }

    /// Closes the flow's socket, or ends its flow in a tunnel, and writes its record.
    pub(super) fn end(self, end: End, now: Instant) {
        let Flow {
            path,
            entry,
            target,
            mut account,
            first_answer,
            target_dropped_before,
            permit,
            mut way,
            ..
        } = self;
        let at = account.target().map_or_else(|| Address::Named(target.name().clone()), Address::from);
        match path {
            Path::Socket(socket) => drop(socket),
            Path::Tunnel(mut tunnel) => {
                tunnel.end(end, None);
                let (overflown, dropped) = tunnel.mark.take_dropped();
                account.lost_up(dropped);
                account.dropped_down(DropReason::TunnelFull, overflown);
                way = Some(tunnel.way());
            }
        }
        let cause = if let End::NoTarget(cause) = end { Some(cause) } else { None };
        let target_dropped = target.dropped().saturating_sub(target_dropped_before);
        let datagrams = Datagrams { target_dropped, ..account.datagrams() };
        let mut outcome = outcome(&entry, end, Some(at), cause, datagrams, now);
        outcome.timing.first_byte = first_answer.map(|at| at.saturating_duration_since(entry.started()));
        if let Some(way) = way.filter(|_| outcome.way != Way::None) {
            outcome.way = way;
        }
        entry.close(outcome);
        drop(permit);
    }
}

/// The outcome of a flow.
pub(super) fn outcome(
    entry: &Entry,
    end: End,
    target: Option<Address>,
    cause: Option<Cause>,
    datagrams: Datagrams,
    now: Instant,
) -> Outcome {
    Outcome {
        end,
        phase: if datagrams.down == 0 && cause.is_some() { Phase::Connect } else { Phase::Relay },
        closed_by: None,
        attempts: target
            .iter()
            .map(|address| Attempt { address: address.clone(), took: Duration::ZERO, cause })
            .collect(),
        target,
        traffic: entry.meter().traffic(),
        timing: Timing { total: now.saturating_duration_since(entry.started()), ..Timing::default() },
        way: entry.meter().way(),
        datagrams: Some(Box::new(datagrams)),
        kernel: None,
        hint: None,
    }
}
