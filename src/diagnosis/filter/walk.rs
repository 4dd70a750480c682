//! Follows one packet from hook to hook, chain to chain and rule to rule, as the kernel's nf_tables core does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::act::{Act, Match};
use super::answer::Answer;
use super::machine::{Ran, run};
use super::packet::{Device, Packet, Place, Role};
use super::passage::{Effect, Hit, Passage, Way};
use crate::probe::firewall::{Base, Chain, Expression, Judgement, Rule, Ruleset};

/// At most this many rules and jumps are evaluated for a packet; the kernel allows 16 nested jumps.
const MAX_STEPS: usize = 100_000;
const MAX_DEPTH: usize = 16;

pub(super) const INET: u8 = 1;
const IPV4: u8 = 2;
const NETDEV: u8 = 5;
const IPV6: u8 = 10;

/// A hook and the interfaces a rule sees there.
struct Stop<'a> {
    netdev: bool,
    hook: u32,
    incoming: Option<&'a Device>,
    outgoing: Option<&'a Device>,
}

/// A packet on its path, and the hits so far.
pub(super) struct Walk<'a> {
    ruleset: &'a Ruleset,
    way: &'a Way,
    pub(super) packet: Packet,
    mark: Option<u32>,
    untracked: bool,
    plain_marks: bool,
    steps: usize,
    /// How many times a rule may have left its chain without this being certain.
    doubts: usize,
    /// An earlier rule that may have let the packet pass because of a limit.
    limit: Option<usize>,
    pub(super) passage: Passage,
}

/// How the packet left a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Through its end or by `return`.
    End,
    /// Accepted: this base chain is done.
    Accepted,
    /// Stopped for certain.
    Stopped,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, packet: Packet, way: &'a Way) -> Walk<'a> {
        let sets_marks = ruleset.rules.iter().flat_map(|rule| &rule.expressions).any(|expression| {
            matches!(expression, Expression::Store { what, .. } if what == "ct")
                || matches!(expression, Expression::Target { name, .. } if name == "CONNMARK")
        });
        Walk {
            ruleset,
            way,
            packet,
            mark: Some(0),
            untracked: false,
            plain_marks: !sets_marks,
            steps: 0,
            doubts: 0,
            limit: None,
            passage: Passage::default(),
        }
    }

    /// Evaluates every base chain on the path, hook after hook and by priority within a hook.
    pub(super) fn run(&mut self) {
        for stop in stops(self.way) {
            for chain in self.chains_at(&stop) {
                self.limit = None;
                let left = self.base_chain(chain, &stop);
                if left == Left::Stopped || self.passage.cut {
                    return;
                }
            }
        }
    }

    fn chains_at(&self, stop: &Stop<'_>) -> Vec<usize> {
        let family = if self.packet.to.is_ipv4() { IPV4 } else { IPV6 };
        let device = stop.incoming.or(stop.outgoing);
        let hangs = |chain: &Chain, base: &Base| {
            let here = match chain.family {
                NETDEV => stop.netdev && base.hook == stop.hook,
                // NF_INET_INGRESS of an inet table is at the place of netdev's ingress.
                INET if base.hook == 5 => stop.netdev && stop.hook == 0,
                INET => !stop.netdev && base.hook == stop.hook,
                other => !stop.netdev && other == family && base.hook == stop.hook,
            };
            let by_device = base.devices.is_empty() || device.is_some_and(|d| base.devices.contains(&d.name));
            // The first packet of a connection decides its translation.
            here && by_device && (base.kind != "nat" || (self.packet.role == Role::First && !self.untracked))
        };
        let mut found: Vec<(i32, usize)> = self
            .ruleset
            .chains
            .iter()
            .enumerate()
            .filter_map(|(at, chain)| {
                chain.base.as_ref().filter(|base| hangs(chain, base)).map(|base| (base.priority, at))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, at)| at).collect()
    }

    fn base_chain(&mut self, chain: usize, stop: &Stop<'_>) -> Left {
        let (left, certain) = self.chain(chain, stop, true, 0);
        let drops = self.ruleset.chains[chain].base.as_ref().is_some_and(|base| base.drops);
        if left != Left::End || !drops {
            return left;
        }
        // Earlier rules that may have stopped the packet do not make the outcome less certain: either they or the
        // policy stop it.
        self.hit(None, chain, Effect::Drop, certain, self.limit.is_some());
        if certain { Left::Stopped } else { Left::End }
    }

    /// Evaluates the rules of one chain. Also returns whether its end was reached for certain.
    fn chain(&mut self, chain: usize, stop: &Stop<'_>, mut certain: bool, depth: usize) -> (Left, bool) {
        let ruleset = self.ruleset;
        let here = &ruleset.chains[chain];
        for (at, rule) in ruleset.rules.iter().enumerate().filter(|(_, rule)| belongs(rule, here)) {
            self.steps += 1;
            if self.steps > MAX_STEPS || depth > MAX_DEPTH {
                self.passage.cut = true;
                return (Left::Stopped, certain);
            }
            let place = Place {
                incoming: stop.incoming,
                outgoing: stop.outgoing,
                mark: self.mark,
                untracked: self.untracked,
                plain_marks: self.plain_marks,
            };
            let ran = run(rule, &ruleset.sets, &self.packet, &place);
            if ran.matched == Match::No {
                continue;
            }
            self.passage.matching += 1;
            self.note(&ran, stop);
            let sure = certain && ran.matched == Match::Yes;
            let doubts = self.doubts;
            match self.act(&ran, (at, chain), stop, sure, depth) {
                Some(left) if sure => return (left, true),
                Some(Left::Accepted | Left::End) => {
                    self.doubts += 1;
                    self.limit = self.limit.or(ran.limited.then_some(at));
                }
                _ => {}
            }
            certain &= self.doubts == doubts;
        }
        (Left::End, certain)
    }

    /// Records marks and tracking, which later rules test.
    fn note(&mut self, ran: &Ran, stop: &Stop<'_>) {
        if let Some(mark) = ran.mark {
            self.mark = mark.filter(|_| ran.matched == Match::Yes);
        }
        // A packet that comes back in over the loopback interface was already tracked on its way out
        // (nft_notrack_eval).
        let too_late = matches!(self.way, Way::Loopback(_)) && stop.outgoing.is_none();
        self.untracked |= ran.untracks && ran.matched == Match::Yes && !too_late;
    }

    /// Applies a rule that matched; `None` continues with the next rule.
    fn act(
        &mut self,
        ran: &Ran,
        (at, chain): (usize, usize),
        stop: &Stop<'_>,
        sure: bool,
        depth: usize,
    ) -> Option<Left> {
        let limited = ran.limited || self.limit.is_some();
        let effect = match &ran.act {
            Act::Continue | Act::Judge(Judgement::Continue | Judgement::Other) => return None,
            Act::Judge(Judgement::Accept) => return Some(Left::Accepted),
            Act::Judge(Judgement::Return) => return Some(Left::End),
            Act::Judge(Judgement::Jump(name)) => return self.jump(name, chain, stop, sure, depth, false),
            Act::Judge(Judgement::Goto(name)) => return self.jump(name, chain, stop, sure, depth, true),
            Act::Judge(Judgement::Drop) => Effect::Drop,
            Act::Reject { kind, code } => {
                Effect::Reject(Answer::of_nftables(*kind, *code, self.packet.to.is_ipv4()))
            }
            Act::RejectTarget(with) => Effect::Reject(Answer::of_iptables(*with, self.packet.to.is_ipv4())),
            Act::Queue { number, bypass } => Effect::Queue { number: *number, bypass: *bypass },
            Act::Taken(name) => Effect::Taken(name.clone()),
            Act::Redirect { address, port } => {
                let to = self.translated(address.as_deref(), *port);
                self.hit(Some(at), chain, Effect::Redirect(to), sure, limited);
                if sure {
                    self.packet.to = to;
                }
                return Some(Left::Accepted);
            }
        };
        // The program behind a queue decides.
        let decided = sure && !matches!(effect, Effect::Queue { .. });
        self.hit(Some(at), chain, effect, decided, limited);
        Some(Left::Stopped)
    }

    fn jump(
        &mut self,
        name: &str,
        from: usize,
        stop: &Stop<'_>,
        sure: bool,
        depth: usize,
        goto: bool,
    ) -> Option<Left> {
        let home = &self.ruleset.chains[from];
        let found = self.ruleset.chains.iter().position(|chain| {
            (chain.family, &chain.table, &chain.name[..]) == (home.family, &home.table, name)
        });
        match self.chain(found?, stop, sure, depth + 1).0 {
            Left::End if !goto => None,
            left => Some(left),
        }
    }

    fn hit(&mut self, rule: Option<usize>, chain: usize, effect: Effect, certain: bool, limited: bool) {
        let limit = self.limit.filter(|_| limited);
        self.passage.hits.push(Hit { rule, chain, effect, certain, limited, limit, role: self.packet.role });
    }

    /// The translated destination. `redirect` without an address means this machine: its loopback address for its own
    /// packets.
    fn translated(&self, address: Option<&[u8]>, port: Option<u16>) -> SocketAddr {
        let here = match (self.way, self.packet.to.ip()) {
            (Way::In(_), ip) => ip,
            (_, IpAddr::V4(_)) => Ipv4Addr::LOCALHOST.into(),
            (_, IpAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
        };
        let ipv4 = self.packet.to.is_ipv4();
        let given = address.and_then(|bytes| match bytes.len() {
            4.. if ipv4 => Some(IpAddr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?)),
            16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
            _ => None,
        });
        SocketAddr::new(given.unwrap_or(here), port.unwrap_or(self.packet.to.port()))
    }
}

fn belongs(rule: &Rule, chain: &Chain) -> bool {
    (rule.family, &rule.table, &rule.chain) == (chain.family, &chain.table, &chain.name)
}

/// The hooks on a path. NF_INET_ numbers: 0 prerouting, 1 input, 3 output, 4 postrouting; netdev: 0 ingress, 1 egress.
fn stops(way: &Way) -> Vec<Stop<'_>> {
    let out = |device| {
        [(false, 3), (false, 4), (true, 1)].map(|(netdev, hook)| Stop {
            netdev,
            hook,
            incoming: None,
            outgoing: Some(device),
        })
    };
    let inward = |device| {
        [(true, 0), (false, 0), (false, 1)].map(|(netdev, hook)| Stop {
            netdev,
            hook,
            incoming: Some(device),
            outgoing: None,
        })
    };
    match way {
        Way::Loopback(device) => out(device).into_iter().chain(inward(device)).collect(),
        Way::Out(device) => out(device).into(),
        Way::In(device) => inward(device).into(),
    }
}
