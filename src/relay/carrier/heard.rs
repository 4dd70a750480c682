//! What has come from the other end of a carrier besides bytes: its END and DONE, and how it says that the session ended.

use std::fmt;
use std::sync::Arc;

use super::reason::{end_of, no_target};
use crate::outcome::{End, Side};
use crate::relay::broken::Trouble;
use crate::transport::tunnel::carrier::Broken;
use crate::transport::tunnel::exchange::{Exchange, Step};
use crate::transport::tunnel::frame::{Decoder, Event, Frame};

/// What was read, besides bytes.
#[derive(Default)]
pub(super) struct Heard {
    /// END.
    pub(super) ended: bool,
    /// DONE has passed, from whoever sends it.
    pub(super) done: bool,
    /// The connection gives nothing more.
    pub(super) closed: bool,
    /// The end of a session that did not come to its own. Boxed: it is rare.
    fate: Option<Box<Fate>>,
}

struct Fate {
    kind: Kind,
    end: End,
    words: Option<Arc<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The other end has said it.
    Told,
    /// It broke the rules of frames, and is to be told.
    Breach,
    /// It broke the rules, and was told.
    Answered,
    /// The connection broke; what the other end had to say may still be unread.
    Lost,
}

impl Heard {
    /// How the session ended, if it did not come to its own end.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.fate.as_ref().map(|fate| Trouble::Told(fate.end, fate.words.clone()))
    }

    /// The same as an end alone.
    pub(super) fn end(&self) -> Option<End> {
        self.fate.as_ref().map(|fate| fate.end)
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_final(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.kind != Kind::Lost)
    }

    /// Whether the connection broke.
    pub(super) fn is_lost(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.kind == Kind::Lost)
    }

    /// Whether the other end has cut the session.
    pub(super) fn is_cut(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.kind == Kind::Told)
    }

    /// What the other end has said of it.
    pub(super) fn told(&self) -> Option<Trouble> {
        self.trouble().filter(|_| self.is_final())
    }

    /// Whether the other end is to be told that it broke the rules; once.
    pub(super) fn takes_breach(&mut self) -> bool {
        match &mut self.fate {
            Some(fate) if fate.kind == Kind::Breach => {
                fate.kind = Kind::Answered;
                true
            }
            _ => false,
        }
    }

    /// Notes that the connection broke, unless more is known.
    pub(super) fn lose(&mut self, broken: &Broken) {
        let words = match broken {
            Broken::Closed => {
                "the other end of the tunnel closed the connection within the session".to_owned()
            }
            broken => format!("the tunnel's connection with the session: {broken}"),
        };
        self.set(Kind::Lost, (End::TunnelLost, Some(words.into())));
    }

    /// Notes that the other end was waited for in vain.
    pub(super) fn gives_up(&mut self) {
        let words = "the other end of the tunnel did not say that everything was delivered";
        self.set(Kind::Lost, (End::TunnelLost, Some(words.into())));
    }

    fn breach(&mut self, what: impl fmt::Display) {
        let words = format!("the other end of the tunnel broke its rules: {what}");
        self.set(Kind::Breach, (End::TunnelLost, Some(words.into())));
    }

    fn set(&mut self, kind: Kind, (end, words): (End, Option<Arc<str>>)) {
        if self.fate.is_none() || self.is_lost() && kind != Kind::Lost {
            self.fate = Some(Box::new(Fate { kind, end, words }));
        }
    }
}

/// Reads plain bytes of a carrier with a session.
pub(super) struct Inlet<'h> {
    pub(super) decoder: &'h mut Decoder,
    pub(super) exchange: &'h mut Exchange,
    pub(super) heard: &'h mut Heard,
    /// The connection of the session that the carrier is.
    pub(super) side: Side,
}

impl Inlet<'_> {
    /// Takes all of `plain`, and passes the bytes of the session to `body`. Behind the end of a session that was cut
    /// everything is thrown away.
    pub(super) fn take(&mut self, mut plain: &[u8], body: &mut dyn FnMut(&[u8])) {
        while !self.heard.is_final() {
            match self.decoder.next(&mut plain) {
                Ok(None) => return,
                Ok(Some(Event::Body { bytes, .. })) => match self.exchange.received_body() {
                    Ok(Step::Body) => body(bytes),
                    Ok(_) => {}
                    Err(out_of_turn) => self.heard.breach(out_of_turn),
                },
                Ok(Some(Event::Frame(frame))) => match self.exchange.received(&frame) {
                    Ok(step) => self.step(step, &frame),
                    Err(out_of_turn) => self.heard.breach(out_of_turn),
                },
                Err(malformed) => self.heard.breach(malformed),
            }
        }
    }

    fn step(&mut self, step: Step, frame: &Frame) {
        match (step, frame) {
            (Step::End, _) => self.heard.ended = true,
            (Step::Done, _) => self.heard.done = true,
            (Step::Failed, Frame::Failed(content)) => self.heard.set(Kind::Told, no_target(content)),
            (Step::Reset(reason), _) => self.heard.set(Kind::Told, end_of(reason, self.side)),
            (Step::Close(_), _) => {
                let words = "the other end of the tunnel closed the connection before it saw the session";
                self.heard.set(Kind::Told, (End::TunnelLost, Some(words.into())));
            }
            (Step::Begin | Step::Flow | Step::FlowEnd | Step::Answer(_) | Step::LateReset(_), _) => {
                self.heard.breach("a frame between sessions, before the next was taken");
            }
            (Step::Opened | Step::Body | Step::Failed | Step::Alive | Step::Ignore, _) => {}
        }
    }
}
