//! Plays a script over one connection.
//!
//! Played directly, a step is over once it has had the effect that the kernel gives it. Played through Loopgate, it is
//! over once both ends see what they saw directly: so nothing depends on how fast anything is.

use std::fmt;
use std::time::{Duration, Instant};

use loopgate::outcome::Side;
use rustix::event::{PollFd, Timespec, poll};

use super::end::{Closed, End, MOST, View};
use super::script::{Act, Script, Step};
use super::ways::Way;
use crate::harness::Connection;

/// How long nothing moves until whatever waits for room or for a reader is taken to stand.
const QUIET: Duration = Duration::from_millis(15);

/// How long an effect of the kernel alone is waited for: it asks an end whose small buffer was full again after a second, or
/// after two.
const KERNEL: Duration = Duration::from_secs(3);

/// How long both ends may take to see through Loopgate what they saw directly.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(7);

/// How long an end is not asked what it sees while it has nothing to do.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What came of a script.
#[derive(Debug)]
pub(super) struct Played {
    /// After each step that waits, and at the end: what the client and the target saw.
    pub(super) moments: Vec<Moment>,
    pub(super) client: Account,
    pub(super) target: Account,
    /// The moment at which both ends did not see what they saw directly.
    pub(super) departed: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) views: [View; 2],
    /// Something waits for room or for a reader: how much of it has arrived depends on buffers.
    pub(super) is_crowded: bool,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [client, target] = self.views;
        write!(f, "({client:?} | {target:?}{})", if self.is_crowded { " crowded" } else { "" })
    }
}

/// What one end did and saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) sent: usize,
    pub(super) got: usize,
    pub(super) wrong: Option<usize>,
    pub(super) closed: Option<Closed>,
    pub(super) at_close: Option<View>,
    /// It had sent FIN when it closed or the script ended.
    pub(super) has_sent_fin: bool,
    /// What it sent was cut off by the close of one of the ends, before it had arrived.
    pub(super) was_cut: bool,
}

/// Both ends of a connection that a script is played on.
pub(super) struct Stage<'a> {
    client: End,
    target: End,
    /// What the client and the target sent was cut off on its way.
    cut: [bool; 2],
    /// What was seen directly.
    seen: Option<&'a Played>,
    moments: Vec<Moment>,
    departed: Option<usize>,
    /// The script is over.
    is_final: bool,
    buffer: Vec<u8>,
    is_small: bool,
    way: &'a Way,
}

impl<'a> Stage<'a> {
    /// Where the way wants it, the client writes before the target is there.
    pub(super) fn begin(
        way: &'a Way,
        script: &Script,
        client: Connection,
        seen: Option<&'a Played>,
        accept: impl FnOnce() -> Connection,
    ) -> Stage<'a> {
        let [client_buffer, target_buffer] = script.buffers;
        let mut client = End::new(Side::Client, client, client_buffer);
        let mut buffer = vec![0; MOST];
        if way.is_client_first
            && let Some(Step::Does(Side::Client, Act::Write(bytes), _)) = script.steps.first()
        {
            client.plans_write(*bytes);
            client.move_on(&mut buffer);
        }
        Stage {
            client,
            target: End::new(Side::Target, accept(), target_buffer),
            cut: [false; 2],
            seen,
            moments: Vec::new(),
            departed: None,
            is_final: false,
            buffer,
            is_small: script.buffers != [0, 0],
            way,
        }
    }

    /// Plays all of it; then both ends read everything and send FIN.
    pub(super) fn play(&mut self, steps: &[Step]) {
        // The first may be done by now.
        for step in &steps[usize::from(self.client.sent > 0)..] {
            match *step {
                Step::Pause => std::thread::sleep(PAUSE),
                Step::Does(who, act, waits) => {
                    self.act(who, act);
                    if waits {
                        self.settle();
                    }
                }
            }
        }
        for end in [&mut self.client, &mut self.target] {
            end.is_stalled = false;
        }
        self.settle();
        self.client.plans_fin();
        self.target.plans_fin();
        self.is_final = true;
        self.settle();
    }

    /// What both ends see by now.
    pub(super) fn conclude(mut self) -> Played {
        self.move_on();
        self.note();
        let [cut_client, cut_target] = self.cut;
        Played {
            client: account(&self.client, cut_client),
            target: account(&self.target, cut_target),
            moments: self.moments,
            departed: self.departed,
        }
    }

    fn ends(&mut self, who: Side) -> (&mut End, &mut End) {
        match who {
            Side::Client => (&mut self.client, &mut self.target),
            Side::Target => (&mut self.target, &mut self.client),
        }
    }

    fn act(&mut self, who: Side, act: Act) {
        if !self.ends(who).0.is_open() {
            return;
        }
        if matches!(act, Act::Reset | Act::Close) {
            // What has not moved by then is cut, and that is to be a matter of the script.
            self.settle();
            let (ender, other) = self.ends(who);
            let cut = [has_something_on_its_way(ender, other), has_something_on_its_way(other, ender)];
            self.cut[who as usize] |= cut[0];
            self.cut[who.other() as usize] |= cut[1];
        }
        let (end, _) = self.ends(who);
        match act {
            Act::Write(bytes) => end.plans_write(bytes),
            Act::Urgent => end.plans_urgent(),
            Act::Fin => end.plans_fin(),
            Act::Stall => end.is_stalled = true,
            Act::Go => end.is_stalled = false,
            Act::Read(bytes) => end.may_read(bytes),
            Act::Reset => end.close(true),
            Act::Close => end.close(false),
        }
    }

    fn settle(&mut self) {
        let seen = self.seen.and_then(|seen| seen.moments.get(self.moments.len()).copied());
        match seen {
            None => self.settle_directly(),
            Some(seen) => self.settle_as(seen),
        }
        self.note();
    }

    fn note(&mut self) {
        let is_crowded = self.is_crowded();
        let views = self.views();
        self.moments.push(Moment { views, is_crowded });
    }

    fn views(&mut self) -> [View; 2] {
        [self.client.view(), self.target.view()]
    }

    fn move_on(&mut self) -> bool {
        self.client.move_on(&mut self.buffer) | self.target.move_on(&mut self.buffer)
    }

    /// Waits until everything has had its effect, as far as it can have one.
    fn settle_directly(&mut self) {
        let began = Instant::now();
        let mut moved = began;
        loop {
            if self.move_on() {
                moved = Instant::now();
                continue;
            }
            let limit = if self.is_crowded() { QUIET } else { KERNEL };
            if self.has_settled() || moved.elapsed() > limit {
                return;
            }
            self.wait();
        }
    }

    /// Waits until both ends see this.
    fn settle_as(&mut self, seen: Moment) {
        let mut moved = Instant::now();
        loop {
            if self.move_on() {
                moved = Instant::now();
                continue;
            }
            let views = self.views();
            let is_there = match self.resets_are_ends() {
                false => views == seen.views,
                true => views.map(View::without_resets) == seen.views.map(View::without_resets),
            };
            let quiet = moved.elapsed();
            if self.is_final && self.is_loose() {
                // Everything has come by then, however slowly.
                let is_over = |view: &View| matches!(view, View::Gone) || view.has_ended();
                if views.iter().all(is_over) {
                    return;
                }
            } else if quiet > QUIET && (self.is_loose() || self.may_miss_a_reset()) {
                return;
            }
            if is_there && !seen.is_crowded && !self.is_crowded() {
                return;
            }
            if quiet > QUIET && !self.is_final && (seen.is_crowded || self.is_crowded()) {
                return;
            }
            if quiet > PATIENCE {
                self.departed.get_or_insert(self.moments.len());
                return;
            }
            self.wait();
        }
    }

    /// Whether an end has sent its FIN to one that had closed altogether: then the reset may come too late for it.
    fn may_miss_a_reset(&self) -> bool {
        let may = |end: &End, other: &End| end.has_sent_fin && other.closed == Some(Closed::InOrder);
        may(&self.client, &self.target) || may(&self.target, &self.client)
    }

    fn resets_are_ends(&self) -> bool {
        self.way.resets_are_ends(self.client.closed, self.client.at_close)
    }

    /// Whether what follows is no longer compared moment by moment.
    fn is_loose(&self) -> bool {
        let is_loose = |seen: &Played| seen.was_cut() || self.resets_are_ends() && seen.saw_reset();
        self.cut != [false; 2] || self.departed.is_some() || self.seen.is_some_and(is_loose)
    }

    /// Whether the kernel has nothing left to do.
    fn has_settled(&mut self) -> bool {
        let views = self.views();
        [Side::Client, Side::Target].into_iter().all(|who| {
            let (end, other) = self.ends(who);
            has_arrived(end, other, views[who as usize], views[who.other() as usize])
        })
    }

    /// Whether something waits for room or for a reader, and so much that buffers decide.
    fn is_crowded(&mut self) -> bool {
        let fits = if self.is_small { 1000 } else { 20_000 };
        [Side::Client, Side::Target].into_iter().any(|who| {
            let (end, other) = self.ends(who);
            let is_held_up = other.is_open() && other.is_stalled;
            is_held_up && (end.is_behind() || end.sent - other.got > fits)
        })
    }

    /// Waits a moment, or for something that either end can do.
    fn wait(&self) {
        let ends = [&self.client, &self.target];
        // An end that waits for nothing is left out, because poll(2) always tells of a hang-up.
        let mut awaited: Vec<PollFd> = ends
            .into_iter()
            .filter_map(End::waits_for)
            .filter(|(_, flags)| !flags.is_empty())
            .map(|(socket, flags)| PollFd::new(socket, flags))
            .collect();
        poll(&mut awaited, Some(&MOMENT)).unwrap();
    }
}

/// Whether what `end` did has arrived at the other, or at its kernel.
fn has_arrived(end: &End, other: &End, view: View, other_view: View) -> bool {
    let View::Open { arrived, fin, reset } = other_view else {
        // The kernel of a closed end answers with a reset what comes late, unless both have sent FIN.
        let View::Open { reset, .. } = view else { return true };
        let at_close = match other.at_close {
            Some(View::Open { arrived, fin, .. }) => (arrived, fin),
            _ => (0, false),
        };
        return match other.closed {
            _ if reset => true,
            Some(Closed::InOrder) => end.sent == at_close.0,
            _ => other.has_sent_fin && at_close.1,
        };
    };
    match end.closed {
        _ if reset => true,
        Some(Closed::Reset | Closed::OverUnread) => {
            end.has_sent_fin && matches!(end.at_close, Some(View::Open { fin: true, .. }))
        }
        Some(Closed::InOrder) => fin && arrived == end.sent,
        None => !end.is_behind() && arrived == end.sent && fin == end.has_sent_fin,
    }
}

fn has_something_on_its_way(end: &mut End, other: &mut End) -> bool {
    let sent = end.sent;
    match other.view() {
        View::Gone => false,
        View::Open { arrived, .. } => end.is_behind() || arrived < sent,
    }
}

fn account(end: &End, was_cut: bool) -> Account {
    Account {
        sent: end.sent,
        got: end.got,
        wrong: end.wrong,
        closed: end.closed,
        at_close: end.at_close,
        has_sent_fin: end.has_sent_fin,
        was_cut,
    }
}

impl Played {
    pub(super) fn was_cut(&self) -> bool {
        self.client.was_cut || self.target.was_cut
    }

    /// Whether an end saw a reset.
    pub(super) fn saw_reset(&self) -> bool {
        self.moments.iter().any(|moment| moment.views.iter().any(|view| view.is_reset()))
    }

    pub(super) fn last(&self) -> Moment {
        *self.moments.last().unwrap()
    }

    pub(super) fn account(&self, of: Side) -> &Account {
        if of == Side::Client { &self.client } else { &self.target }
    }

    /// What this end saw at the end of the script.
    pub(super) fn view(&self, of: Side) -> View {
        self.last().views[of as usize]
    }
}
