//! Which frame may come when: the order of frames on a carrier, from one session to the next.
//!
//! | state | the opener may send | the other end may send |
//! |---|---|---|
//! | idle: no session | OPEN, FLOW⁵, PING, CLOSE | PONG, CLOSE |
//! | asked: OPEN has passed | bodies, END, RESET | OPENED, FAILED, RESET, PONG; CLOSE¹ |
//! | failed: FAILED has passed | bodies², END², RESET | RESET |
//! | flowing: OPENED has passed | bodies, END, RESET | bodies, END, FAILED⁴, RESET |
//! | ended: both ENDs have passed | RESET | DONE, RESET |
//! | freed: DONE has passed | OPEN, FLOW⁵, PING, CLOSE; RESET³ | PONG, CLOSE |
//! | flows: FLOW has passed | FLOW, FLOW_END, bodies, PING, CLOSE | FLOW_END, bodies, PONG, CLOSE |
//! | over: RESET or CLOSE has passed | what is on its way is ignored | the same |
//!
//! Whoever has sent END sends no more bodies, and END but once. Whoever has sent RESET or CLOSE sends nothing more. One PING
//! at a time is unanswered, and a PONG has its number. Everything else is out of turn, and ends the connection.
//!
//! The two ends see the frames in different orders. What may therefore cross is marked:
//! ¹ sent before OPEN arrived; the other end has seen no session, so another carrier may be tried.
//! ² sent before FAILED arrived; ignored.
//! ³ sent before DONE arrived; it belongs to the session before, whose record is written, and the carrier is closed.
//! ⁴ before its END. An end that has to read the visitor's first bytes, or to answer them, says OPENED before it dials: an opener
//! may hold those bytes back until then.
//! ⁵ the connection carries flows from then on, and never a session again: a datagram that is late would stand in it.
//!
//! Only the opener pings: a PING of the other end could cross an OPEN and stand in a session. A RESET stands between frames:
//! a body is sent whole with its head, and a sender that cannot do so cuts the connection instead.
//!
//! Pure: it is told what was sent and what was received.

use std::fmt;

use super::frame::{CloseCode, Frame, Reason};

/// One end of a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that sends OPEN.
    Opener,
    /// The one that answers it.
    Other,
}

/// The frames of one carrier, as this end has sent and received them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Which end this is.
    role: Role,
    state: State,
    /// Whether each end has sent END: the opener, the other.
    ended: [bool; 2],
    /// The number of the PING that has no PONG yet.
    unanswered: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Idle,
    Asked,
    Failed,
    Flowing,
    /// Flows of datagrams, for as long as the connection lives.
    Flows,
    /// We have sent DONE, and the opener has not shown that it has seen it.
    Freed,
    /// This end has sent RESET or CLOSE.
    Over(Role),
}

/// What a received frame means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A session begins; the content of OPEN says which.
    Begin,
    /// The target has answered.
    Opened,
    /// No target was reached, for the reason in the content of FAILED; RESET follows.
    Failed,
    /// Bytes of the session.
    Body,
    /// The other end sends nothing more of this session.
    End,
    /// The session was cut; the connection is of no more use.
    Reset(Reason),
    /// Everything was delivered there: the carrier is free for the next session.
    Done,
    /// Send PONG with this number.
    Answer(u32),
    /// The other end has answered our PING.
    Alive,
    /// The other end closes the connection. If a session was asked for, it was not seen.
    Close(CloseCode),
    /// The session before was cut at the other end after we had sent DONE: its record stands, and the connection is of no
    /// more use.
    LateReset(Reason),
    /// A flow begins, or takes its way through this connection from now on.
    Flow,
    /// A flow has ended at the other end.
    FlowEnd,
    /// It was on its way when we ended the session or the connection.
    Ignore,
}

/// A frame that may not come now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTurn {
    frame: &'static str,
    by: Role,
    state: &'static str,
}

/// A frame, or the whole or a part of a body.
#[derive(Clone, Copy)]
enum Seen<'f> {
    Body,
    Frame(&'f Frame),
}

impl Exchange {
    /// A carrier without a session, at this end.
    pub fn idle(role: Role) -> Exchange {
        Exchange { role, state: State::Idle, ended: [false; 2], unanswered: None }
    }

    /// A carrier on which OPEN has just passed, at this end.
    pub fn asked(role: Role) -> Exchange {
        Exchange { state: State::Asked, ..Exchange::idle(role) }
    }

    /// Notes a frame that this end is about to send.
    ///
    /// # Errors
    /// It may not be sent now; nothing has changed.
    pub fn sent(&mut self, frame: &Frame) -> Result<(), OutOfTurn> {
        self.send(Seen::Frame(frame))
    }

    /// Notes a body that this end is about to send, whole.
    ///
    /// # Errors
    /// It may not be sent now; nothing has changed.
    pub fn sent_body(&mut self) -> Result<(), OutOfTurn> {
        self.send(Seen::Body)
    }

    /// Notes a frame that has come from the other end.
    ///
    /// # Errors
    /// It may not come now; the connection is to be closed.
    pub fn received(&mut self, frame: &Frame) -> Result<Step, OutOfTurn> {
        let was = self.state;
        self.receive(Seen::Frame(frame))?;
        Ok(match frame {
            _ if matches!(was, State::Over(_)) => Step::Ignore,
            Frame::End if was == State::Failed => Step::Ignore,
            Frame::End => Step::End,
            Frame::Reset(reason) if was == State::Freed => Step::LateReset(*reason),
            Frame::Reset(reason) => Step::Reset(*reason),
            Frame::Open(_) => Step::Begin,
            Frame::Opened => Step::Opened,
            Frame::Failed(_) => Step::Failed,
            Frame::Ping(number) => Step::Answer(*number),
            Frame::Pong(_) => Step::Alive,
            Frame::Done => Step::Done,
            Frame::Close(code) => Step::Close(*code),
            Frame::Flow(..) => Step::Flow,
            Frame::FlowEnd(..) => Step::FlowEnd,
        })
    }

    /// Notes bytes of a body that have come from the other end, the whole of it or a part.
    ///
    /// # Errors
    /// They may not come now; the connection is to be closed.
    pub fn received_body(&mut self) -> Result<Step, OutOfTurn> {
        let was = self.state;
        self.receive(Seen::Body)?;
        Ok(if matches!(was, State::Failed | State::Over(_)) { Step::Ignore } else { Step::Body })
    }

    /// Whether there is no session: OPEN may be the next.
    pub fn is_free(&self) -> bool {
        matches!(self.state, State::Idle | State::Freed)
    }

    /// Whether both ENDs have passed and DONE has not.
    pub fn is_ended(&self) -> bool {
        self.state == State::Flowing && self.ended == [true; 2]
    }

    /// Whether RESET or CLOSE has passed: nothing more may be sent.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    fn send(&mut self, seen: Seen<'_>) -> Result<(), OutOfTurn> {
        match self.next(self.role, seen) {
            Some(next) if !self.is_over() => *self = next,
            _ => return Err(self.out_of_turn(self.role, seen)),
        }
        Ok(())
    }

    fn receive(&mut self, seen: Seen<'_>) -> Result<(), OutOfTurn> {
        let by = self.role.opposite();
        *self = self.next(by, seen).ok_or_else(|| self.out_of_turn(by, seen))?;
        Ok(())
    }

    /// The state behind this frame; `None` if it is out of turn.
    fn next(&self, by: Role, seen: Seen<'_>) -> Option<Exchange> {
        let mut next = self.clone();
        let in_session = matches!(self.state, State::Asked | State::Failed | State::Flowing);
        let (is_opener, has_ended) = (by == Role::Opener, self.ended[by as usize]);
        let has_flows = self.state == State::Flows;
        let may_write = (is_opener && in_session || self.state == State::Flowing) && !has_ended || has_flows;
        // What this end has not sent itself, and may have crossed what it sent.
        let may_cross = by != self.role;
        match seen {
            // The other end may not know yet.
            _ if self.state == State::Over(by.opposite()) => {}
            Seen::Body if may_write => {}
            Seen::Frame(Frame::End) if may_write && !has_flows => next.ended[by as usize] = true,
            Seen::Frame(Frame::Reset(_)) if in_session => next.state = State::Over(by),
            Seen::Frame(Frame::Reset(_)) if self.state == State::Freed && is_opener && may_cross => {
                next.state = State::Over(by);
            }
            Seen::Frame(Frame::Open(_)) if self.is_free() && is_opener => {
                (next.state, next.ended) = (State::Asked, [false; 2]);
            }
            Seen::Frame(Frame::Flow(..)) if (self.is_free() || has_flows) && is_opener => {
                (next.state, next.ended) = (State::Flows, [false; 2]);
            }
            Seen::Frame(Frame::FlowEnd(..)) if has_flows => {}
            Seen::Frame(Frame::Opened) if self.state == State::Asked && !is_opener => {
                // A PONG that stands behind it would stand in the session.
                (next.state, next.unanswered) = (State::Flowing, None);
            }
            Seen::Frame(Frame::Failed(_))
                if matches!(self.state, State::Asked | State::Flowing) && !is_opener && !has_ended =>
            {
                next.state = State::Failed;
            }
            Seen::Frame(Frame::Ping(number))
                if (self.is_free() || has_flows) && is_opener && self.unanswered.is_none() =>
            {
                next.state = if has_flows { State::Flows } else { State::Idle };
                next.unanswered = Some(*number);
            }
            Seen::Frame(Frame::Pong(number))
                if (self.is_free() || has_flows || self.state == State::Asked)
                    && !is_opener
                    && self.unanswered == Some(*number) =>
            {
                next.unanswered = None;
            }
            Seen::Frame(Frame::Done) if self.is_ended() && !is_opener => {
                next.state = if may_cross { State::Idle } else { State::Freed };
            }
            Seen::Frame(Frame::Close(_)) if self.is_free() || has_flows => next.state = State::Over(by),
            Seen::Frame(Frame::Close(_)) if self.state == State::Asked && !is_opener && may_cross => {
                next.state = State::Over(by);
            }
            Seen::Body | Seen::Frame(_) => return None,
        }
        Some(next)
    }

    fn out_of_turn(&self, by: Role, seen: Seen<'_>) -> OutOfTurn {
        let state = match self.state {
            State::Idle | State::Freed => "without a session",
            State::Asked => "before OPENED",
            State::Failed => "behind FAILED",
            State::Flowing if self.is_ended() => "behind both ENDs",
            State::Flowing if self.ended[by as usize] => "behind END",
            State::Flowing => "within a session",
            State::Flows => "among flows",
            State::Over(_) => "behind RESET or CLOSE",
        };
        OutOfTurn { frame: seen.name(), by, state }
    }
}

impl Role {
    fn opposite(self) -> Role {
        match self {
            Role::Opener => Role::Other,
            Role::Other => Role::Opener,
        }
    }
}

impl Seen<'_> {
    fn name(self) -> &'static str {
        match self {
            Seen::Body => "a body",
            Seen::Frame(Frame::End) => "END",
            Seen::Frame(Frame::Reset(_)) => "RESET",
            Seen::Frame(Frame::Open(_)) => "OPEN",
            Seen::Frame(Frame::Opened) => "OPENED",
            Seen::Frame(Frame::Failed(_)) => "FAILED",
            Seen::Frame(Frame::Ping(_)) => "PING",
            Seen::Frame(Frame::Pong(_)) => "PONG",
            Seen::Frame(Frame::Done) => "DONE",
            Seen::Frame(Frame::Close(_)) => "CLOSE",
            Seen::Frame(Frame::Flow(..)) => "FLOW",
            Seen::Frame(Frame::FlowEnd(..)) => "FLOW_END",
        }
    }
}

impl fmt::Display for OutOfTurn {
    /// As `DONE of the other end within a session`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Role::Opener => "the opener",
            Role::Other => "the other end",
        };
        write!(f, "{} of {by} {}", self.frame, self.state)
    }
}

impl std::error::Error for OutOfTurn {}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// A frame of each kind; `None` is a body.
    fn kinds() -> Vec<Option<Frame>> {
        vec![
            None,
            Some(Frame::End),
            Some(Frame::Reset(Reason::Idle)),
            Some(Frame::Open(vec![1])),
            Some(Frame::Opened),
            Some(Frame::Failed(vec![2])),
            Some(Frame::Ping(7)),
            Some(Frame::Pong(7)),
            Some(Frame::Done),
            Some(Frame::Close(CloseCode::Surplus)),
            Some(Frame::Flow(0, vec![3])),
            Some(Frame::FlowEnd(0, vec![4])),
        ]
    }

    fn name(kind: &Option<Frame>) -> &'static str {
        kind.as_ref().map_or(Seen::Body, Seen::Frame).name()
    }

    fn send(exchange: &mut Exchange, kind: &Option<Frame>) -> Result<(), OutOfTurn> {
        match kind {
            Some(frame) => exchange.sent(frame),
            None => exchange.sent_body(),
        }
    }

    fn receive(exchange: &mut Exchange, kind: &Option<Frame>) -> Result<Step, OutOfTurn> {
        match kind {
            Some(frame) => exchange.received(frame),
            None => exchange.received_body(),
        }
    }

    /// Has these frames pass at this end: `>` those of the opener, `<` those of the other end.
    fn at(role: Role, script: &str) -> Exchange {
        let mut exchange = Exchange::idle(role);
        for word in script.split_whitespace() {
            let (by, word) = word.split_at(1);
            let kind = kinds().into_iter().find(|kind| name(kind).replace("a body", "BODY") == word);
            let kind = kind.unwrap_or_else(|| panic!("no frame {word}"));
            let by = if by == ">" { Role::Opener } else { Role::Other };
            if by == role {
                send(&mut exchange, &kind).unwrap();
            } else {
                receive(&mut exchange, &kind).unwrap();
            }
        }
        exchange
    }

    /// Every state by a way to it, and what may follow: of the opener, of the other end, what may only be received, as it has
    /// crossed.
    const TABLE: &[(&str, &str, &str, &str)] = &[
        ("", "OPEN FLOW PING CLOSE", "CLOSE", ""),
        (">PING", "OPEN FLOW CLOSE", "PONG CLOSE", ""),
        (">PING <PONG", "OPEN FLOW PING CLOSE", "CLOSE", ""),
        (">OPEN", "BODY END RESET", "OPENED FAILED RESET", "<CLOSE"),
        (">PING >OPEN", "BODY END RESET", "PONG OPENED FAILED RESET", "<CLOSE"),
        (">PING >OPEN <OPENED", "BODY END RESET", "BODY END FAILED RESET", ""),
        (">OPEN >BODY", "BODY END RESET", "OPENED FAILED RESET", "<CLOSE"),
        (">OPEN >END", "RESET", "OPENED FAILED RESET", "<CLOSE"),
        (">OPEN <FAILED", "BODY END RESET", "RESET", ""),
        (">OPEN >END <FAILED", "RESET", "RESET", ""),
        (">OPEN <OPENED", "BODY END RESET", "BODY END FAILED RESET", ""),
        (">OPEN <OPENED <BODY <FAILED", "BODY END RESET", "RESET", ""),
        (">OPEN >END <OPENED <FAILED", "RESET", "RESET", ""),
        (">OPEN <OPENED >BODY <BODY", "BODY END RESET", "BODY END FAILED RESET", ""),
        (">OPEN <OPENED >END", "RESET", "BODY END FAILED RESET", ""),
        (">OPEN >END <OPENED", "RESET", "BODY END FAILED RESET", ""),
        (">OPEN <OPENED <END", "BODY END RESET", "RESET", ""),
        (">OPEN <OPENED <END >END", "RESET", "DONE RESET", ""),
        (">OPEN >END <OPENED <END", "RESET", "DONE RESET", ""),
        (">OPEN >END <OPENED <END <DONE", "OPEN FLOW PING CLOSE", "CLOSE", ">RESET"),
        (">OPEN >END <OPENED <END <DONE >PING", "OPEN FLOW CLOSE", "PONG CLOSE", ""),
        (">FLOW", "FLOW FLOW_END BODY PING CLOSE", "FLOW_END BODY CLOSE", ""),
        (">PING >FLOW", "FLOW FLOW_END BODY CLOSE", "FLOW_END BODY PONG CLOSE", ""),
        (">FLOW >BODY <BODY >PING", "FLOW FLOW_END BODY CLOSE", "FLOW_END BODY PONG CLOSE", ""),
        (">FLOW >FLOW_END >PING <PONG", "FLOW FLOW_END BODY PING CLOSE", "FLOW_END BODY CLOSE", ""),
        (">OPEN >END <OPENED <END <DONE >FLOW", "FLOW FLOW_END BODY PING CLOSE", "FLOW_END BODY CLOSE", ""),
        (">OPEN >END <OPENED <END <DONE >OPEN", "BODY END RESET", "OPENED FAILED RESET", "<CLOSE"),
    ];

    fn words(kinds: &[Option<Frame>], may: impl Fn(&Option<Frame>) -> bool) -> String {
        let names = kinds.iter().filter(|kind| may(kind)).map(|kind| name(kind).replace("a body", "BODY"));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.join(" ")
    }

    fn sorted(text: &str) -> String {
        let mut names: Vec<&str> = text.split_whitespace().collect();
        names.sort_unstable();
        names.join(" ")
    }

    #[test]
    fn in_each_state_exactly_the_frames_of_the_table_may_come() {
        for (way, opener, other, crossed) in TABLE {
            for role in [Role::Opener, Role::Other] {
                let exchange = at(role, way);
                let (mine, theirs) = if role == Role::Opener { (opener, other) } else { (other, opener) };
                let crossing = crossed.strip_prefix(if role == Role::Opener { '<' } else { '>' });
                let theirs = format!("{theirs} {}", crossing.unwrap_or_default());

                let sends = words(&kinds(), |kind| send(&mut exchange.clone(), kind).is_ok());
                let takes = words(&kinds(), |kind| receive(&mut exchange.clone(), kind).is_ok());

                assert_eq!(sends, sorted(mine), "sent by {role:?} behind {way:?}");
                assert_eq!(takes, sorted(&theirs), "received by {role:?} behind {way:?}");
            }
        }
    }

    #[test]
    fn behind_reset_and_close_nothing_is_sent_and_what_was_on_its_way_is_ignored() {
        for way in [">OPEN >RESET", ">OPEN <RESET", ">CLOSE", "<CLOSE", ">OPEN <FAILED <RESET"] {
            for role in [Role::Opener, Role::Other] {
                let exchange = at(role, way);
                let is_ours = way.contains(if role == Role::Opener { ">RESET" } else { "<RESET" })
                    || way.contains(if role == Role::Opener { ">CLOSE" } else { "<CLOSE" });
                for kind in kinds() {
                    assert!(send(&mut exchange.clone(), &kind).is_err(), "{way} {kind:?}");
                    let step = receive(&mut exchange.clone(), &kind);
                    assert_eq!(step.ok(), is_ours.then_some(Step::Ignore), "{role:?} {way} {kind:?}");
                }
                assert!(exchange.is_over() && !exchange.is_free());
            }
        }
    }

    #[test]
    fn a_pong_has_the_number_of_the_ping() {
        let mut opener = at(Role::Opener, ">PING");

        assert!(opener.received(&Frame::Pong(8)).is_err());
        assert_eq!(opener.received(&Frame::Pong(7)), Ok(Step::Alive));
        assert!(opener.received(&Frame::Pong(7)).is_err());
        assert_eq!(Exchange::idle(Role::Other).received(&Frame::Ping(9)), Ok(Step::Answer(9)));
    }

    #[test]
    fn a_session_goes_from_open_to_done_and_frees_the_carrier() {
        let mut other = Exchange::idle(Role::Other);
        assert_eq!(other.received(&Frame::Open(vec![])), Ok(Step::Begin));
        assert_eq!(other.received_body(), Ok(Step::Body));
        other.sent(&Frame::Opened).unwrap();
        other.sent(&Frame::End).unwrap();
        assert!(!other.is_ended() && !other.is_free());
        assert_eq!(other.received(&Frame::End), Ok(Step::End));
        assert!(other.is_ended() && !other.is_free());
        other.sent(&Frame::Done).unwrap();
        assert!(other.is_free() && !other.is_ended());

        let mut opener = at(Role::Opener, ">OPEN >END <OPENED <END");
        assert!(opener.is_ended());
        assert_eq!(opener.received(&Frame::Done), Ok(Step::Done));
        assert!(opener.is_free());
    }

    #[test]
    fn a_reset_that_crossed_done_belongs_to_the_session_before() {
        let mut other = at(Role::Other, ">OPEN >END <OPENED <END <DONE");
        assert_eq!(other.received(&Frame::Reset(Reason::Killed)), Ok(Step::LateReset(Reason::Killed)));
        assert!(other.is_over());
    }

    #[test]
    fn a_carrier_on_which_open_has_passed_is_one_that_was_asked() {
        for role in [Role::Opener, Role::Other] {
            assert_eq!(Exchange::asked(role), at(role, ">OPEN"));
        }
    }

    #[test]
    fn a_frame_out_of_turn_is_named_with_its_sender_and_the_state() {
        let refused = |way, frame: Frame| at(Role::Opener, way).received(&frame).unwrap_err().to_string();

        assert_eq!(refused("", Frame::Open(vec![])), "OPEN of the other end without a session");
        assert_eq!(refused(">OPEN", Frame::End), "END of the other end before OPENED");
        assert_eq!(refused(">OPEN <OPENED", Frame::Ping(1)), "PING of the other end within a session");
        assert_eq!(refused(">OPEN <OPENED <END", Frame::Done), "DONE of the other end behind END");
        assert_eq!(
            at(Role::Other, ">OPEN >END").received_body().unwrap_err().to_string(),
            "a body of the opener before OPENED"
        );
    }

    /// Two ends and what is on its way between them: every order of every frame that they may send, with up to three on
    /// their way in each direction.
    #[test]
    fn whatever_crosses_what_is_sent_in_turn_is_never_refused() {
        type Way = Vec<Option<Frame>>;
        let start = (Exchange::idle(Role::Opener), Exchange::idle(Role::Other), Way::new(), Way::new());
        let (mut known, mut open) = (HashSet::new(), VecDeque::from([start]));
        let id = |it: &(Exchange, Exchange, Way, Way)| format!("{it:?}");
        while let Some(now) = open.pop_front() {
            if !known.insert(id(&now)) {
                continue;
            }
            let (opener, other, up, down) = now;
            for kind in kinds() {
                let (mut sender, mut way) = (opener.clone(), up.clone());
                if up.len() < 3 && send(&mut sender, &kind).is_ok() {
                    way.push(kind.clone());
                    open.push_back((sender, other.clone(), way, down.clone()));
                }
                let (mut sender, mut way) = (other.clone(), down.clone());
                if down.len() < 3 && send(&mut sender, &kind).is_ok() {
                    way.push(kind);
                    open.push_back((opener.clone(), sender, up.clone(), way));
                }
            }
            if let Some((first, rest)) = up.split_first() {
                let mut receiver = other.clone();
                receive(&mut receiver, first).unwrap_or_else(|refused| panic!("{refused}: {other:?}"));
                open.push_back((opener.clone(), receiver, rest.to_vec(), down.clone()));
            }
            if let Some((first, rest)) = down.split_first() {
                let mut receiver = opener.clone();
                receive(&mut receiver, first).unwrap_or_else(|refused| panic!("{refused}: {opener:?}"));
                open.push_back((receiver, other.clone(), up.clone(), rest.to_vec()));
            }
        }
        assert!(known.len() > 1000, "only {} states", known.len());
    }
}
