//! What one flow has carried, what it may still carry, and whether it is done.

use std::net::SocketAddr;

use crate::limits::FlowLimits;
use crate::outcome::{Datagrams, DropReason};

/// The account of one flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// `None` for one at the other end of a tunnel.
    target: Option<SocketAddr>,
    /// Answers to each datagram of the client; with `None`, only time ends the flow.
    answers: Option<u32>,
    /// Datagrams of the client that it carries; `None` is unbounded.
    requests: Option<u32>,
    /// Bytes that may be sent per byte of a client that has not proved its address; `None` is unbounded.
    amplification: Option<u32>,
    /// Datagrams and bytes received from the client.
    asked: u64,
    asked_bytes: u64,
    /// Bytes sent to the client.
    answered_bytes: u64,
    is_proved: bool,
    datagrams: Datagrams,
}

impl Account {
    /// An empty account of a flow towards `target`.
    pub(crate) fn new(target: Option<SocketAddr>, limits: &FlowLimits) -> Account {
        Account {
            target,
            answers: limits.answers,
            requests: limits.requests,
            amplification: limits.amplification,
            asked: 0,
            asked_bytes: 0,
            answered_bytes: 0,
            is_proved: false,
            datagrams: Datagrams::default(),
        }
    }

    /// The address of this flow's target, which never changes; `None` for one at the other end of a tunnel.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.target
    }

    pub(crate) fn datagrams(&self) -> Datagrams {
        self.datagrams
    }

    /// Whether the target has answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.datagrams.down > 0
    }

    /// Counts what came from the client.
    pub(crate) fn asks(&mut self, datagrams: u64, bytes: usize) {
        self.asked += datagrams;
        self.asked_bytes += bytes as u64;
        // A client that continues after an answer has received it: a forged address would not.
        self.is_proved |= self.is_answered();
    }

    /// Counts what the target's kernel took.
    pub(crate) fn delivered_up(&mut self, datagrams: u64) {
        self.datagrams.up += datagrams;
    }

    /// Counts what did not reach the target.
    pub(crate) fn dropped_up(&mut self, why: DropReason, datagrams: u64) {
        self.datagrams.up_dropped.add(why, datagrams);
    }

    /// Whether an answer may be sent to the client. An admitted one adds to the bytes, another to the drops.
    pub(crate) fn admits(&mut self, from: Option<SocketAddr>, datagrams: u64, bytes: usize) -> bool {
        let bytes = self.answered_bytes + bytes as u64;
        let refused = match self.amplification {
            _ if from.is_some_and(|from| Some(from) != self.target) => Some(DropReason::Stranger),
            Some(times) if !self.is_proved => {
                (bytes > self.asked_bytes.saturating_mul(times.into())).then_some(DropReason::Amplified)
            }
            _ => None,
        };
        match refused {
            Some(why) => self.datagrams.down_dropped.add(why, datagrams),
            None => self.answered_bytes = bytes,
        }
        refused.is_none()
    }

    /// Counts what the client's kernel took.
    pub(crate) fn delivered_down(&mut self, datagrams: u64) {
        self.datagrams.down += datagrams;
    }

    /// Counts an answer that did not reach the client.
    pub(crate) fn dropped_down(&mut self, why: DropReason, datagrams: u64) {
        self.datagrams.down_dropped.add(why, datagrams);
    }

    /// A tunnel has dropped datagrams of the client that count as delivered.
    pub(crate) fn lost_up(&mut self, datagrams: u64) {
        let lost = datagrams.min(self.datagrams.up);
        self.datagrams.up -= lost;
        self.datagrams.up_dropped.add(DropReason::TunnelFull, lost);
    }

    /// The same of answers.
    pub(crate) fn lost_down(&mut self, datagrams: u64) {
        let lost = datagrams.min(self.datagrams.down);
        self.datagrams.down -= lost;
        self.datagrams.down_dropped.add(DropReason::TunnelFull, lost);
    }

    /// How many more datagrams of the client it carries; `None` if that is not bounded.
    pub(crate) fn room(&self) -> Option<u64> {
        self.requests.map(|requests| u64::from(requests).saturating_sub(self.asked))
    }

    /// Whether what a client sends may end its part of the flow, or the flow.
    pub(crate) fn ends_by_requests(&self) -> bool {
        self.requests.is_some() || self.answers == Some(0)
    }

    /// Whether every datagram of the client has had its answers, and it has had all of them that it carries.
    pub(crate) fn is_done(&self) -> bool {
        self.answers.is_some_and(|answers| self.datagrams.down >= self.asked.saturating_mul(answers.into()))
            && self.asked > 0
            && self.room().unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FlowPreset;

    fn account(answers: Option<u32>, amplification: Option<u32>) -> Account {
        let limits = FlowLimits { answers, amplification, ..FlowPreset::Any.limits() };
        Account::new(Some(([127, 0, 0, 1], 53).into()), &limits)
    }

    #[test]
    fn a_flow_of_two_questions_is_done_after_two_answers() {
        let mut account = account(Some(1), None);

        account.asks(2, 60);
        account.delivered_down(1);
        assert!(!account.is_done());
        account.delivered_down(1);

        assert!(account.is_done());
    }

    #[test]
    fn a_flow_of_which_no_answer_is_expected_is_done_at_once() {
        let mut account = account(Some(0), None);
        assert!(!account.is_done(), "it has carried nothing");

        account.asks(1, 60);

        assert!(account.is_done() && account.ends_by_requests());
    }

    #[test]
    fn a_flow_of_so_many_requests_is_done_after_them_and_their_answers() {
        let limits = FlowLimits { answers: Some(1), requests: Some(2), ..FlowPreset::Any.limits() };
        let mut account = Account::new(Some(([127, 0, 0, 1], 53).into()), &limits);

        account.asks(1, 60);
        account.delivered_down(1);
        assert!(!account.is_done() && account.room() == Some(1));
        account.asks(1, 60);
        assert!(!account.is_done() && account.room() == Some(0));
        account.delivered_down(1);

        assert!(account.is_done());
    }

    #[test]
    fn a_client_that_has_proved_nothing_gets_three_times_its_bytes() {
        let mut account = account(None, Some(3));

        account.asks(1, 100);
        assert!(account.admits(None, 1, 300));
        account.delivered_down(1);
        assert!(!account.admits(None, 1, 1));

        account.asks(1, 1);
        assert!(account.admits(None, 1, 60_000), "it went on after an answer");
        assert_eq!(account.datagrams().down_dropped.count(DropReason::Amplified), 1);
    }

    #[test]
    fn an_answer_of_a_stranger_is_none() {
        let mut account = account(None, None);

        assert!(!account.admits(Some(([127, 0, 0, 1], 54).into()), 1, 10));
        assert!(account.admits(Some(([127, 0, 0, 1], 53).into()), 1, 10));
    }
}
