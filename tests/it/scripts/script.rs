//! What both ends of a connection do, one step after the other; made by chance, or read from its text.

use std::fmt;

use loopgate::outcome::Side;

use super::dice::Dice;

/// One thing that an end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Writes so many bytes more.
    Write(usize),
    /// Sends one byte of urgent data.
    Urgent,
    /// Sends FIN behind what it has written.
    Fin,
    /// Reads nothing more for now.
    Stall,
    /// Reads so many bytes although it is stalled.
    Read(usize),
    /// Reads again.
    Go,
    /// Closes with a reset.
    Reset,
    /// Closes: in order, or by the kernel's reset if something is unread.
    Close,
}

/// An act of one end, or a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The act, and whether the next step waits until it has had its effect.
    Does(Side, Act, bool),
    /// Some milliseconds, in which timers run.
    Pause,
}

/// A script. Its text, such as `splice c=8192 t=0 c.write=5 t.fin~ c.reset`, is all that is needed to play it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// The way the bytes take through Loopgate.
    pub(super) way: String,
    /// The sizes that the client and the target want of their buffers; zero for the kernel's.
    pub(super) buffers: [usize; 2],
    pub(super) steps: Vec<Step>,
}

const SIZES: [usize; 11] = [1, 2, 17, 100, 1460, 4096, 16_384, 16_385, 65_536, 65_537, 100_000];
const LARGE: [usize; 3] = [300_000, 1_000_000, 3_000_000];

impl Script {
    /// Where `client_first`, the client begins: the route dials only then.
    pub(super) fn by_chance(way: &str, client_first: bool, dice: &mut Dice) -> Script {
        let buffers = [(); 2].map(|()| dice.one_of(&[0, 0, 0, 8192, 65_536]));
        let is_large = buffers == [0, 0] && dice.in_hundred(35);
        let mut steps = Vec::new();
        if client_first || dice.in_hundred(30) {
            steps.push(Step::Does(Side::Client, Act::Write(dice.one_of(&[1, 5, 100])), true));
        }
        for _ in 0..2 + dice.below(8) {
            let who = dice.one_of(&[Side::Client, Side::Target]);
            let act = match dice.below(100) {
                0..38 if is_large && dice.in_hundred(30) => Act::Write(dice.one_of(&LARGE)),
                0..38 => Act::Write(dice.one_of(&SIZES)),
                38..42 => Act::Urgent,
                42..56 => Act::Fin,
                56..64 => Act::Stall,
                64..72 => Act::Go,
                72..78 => Act::Read(dice.one_of(&[1, 100, 5000, 70_000])),
                78..86 => Act::Reset,
                86..94 => Act::Close,
                _ => {
                    steps.push(Step::Pause);
                    continue;
                }
            };
            // What an end meets first that speaks at the moment of a close is chance.
            let waits = dice.in_hundred(75) || matches!(act, Act::Reset | Act::Close);
            steps.push(Step::Does(who, act, waits));
        }
        Script { way: way.into(), buffers, steps }
    }

    pub(super) fn parse(text: &str) -> Option<Script> {
        let mut words = text.split_whitespace();
        let way = words.next()?.to_owned();
        let buffer = |word: Option<&str>, key| word?.strip_prefix(key)?.parse().ok();
        let buffers = [buffer(words.next(), "c=")?, buffer(words.next(), "t=")?];
        Some(Script { way, buffers, steps: words.map(step).collect::<Option<_>>()? })
    }
}

fn step(word: &str) -> Option<Step> {
    if word == "pause" {
        return Some(Step::Pause);
    }
    let waits = !word.ends_with('~');
    let (who, act) = word.trim_end_matches('~').split_once('.')?;
    let (name, size) = act.split_once('=').map_or((act, None), |(name, size)| (name, size.parse().ok()));
    let act = match name {
        "write" => Act::Write(size?),
        "urgent" => Act::Urgent,
        "fin" => Act::Fin,
        "stall" => Act::Stall,
        "read" => Act::Read(size?),
        "go" => Act::Go,
        "reset" => Act::Reset,
        "close" => Act::Close,
        _ => return None,
    };
    let who = if who == "c" { Side::Client } else { Side::Target };
    Some(Step::Does(who, act, waits))
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} c={} t={}", self.way, self.buffers[0], self.buffers[1])?;
        for step in &self.steps {
            let Step::Does(who, act, waits) = step else {
                f.write_str(" pause")?;
                continue;
            };
            write!(f, " {}.", &who.code()[..1])?;
            match act {
                Act::Write(size) => write!(f, "write={size}")?,
                Act::Urgent => f.write_str("urgent")?,
                Act::Fin => f.write_str("fin")?,
                Act::Stall => f.write_str("stall")?,
                Act::Read(size) => write!(f, "read={size}")?,
                Act::Go => f.write_str("go")?,
                Act::Reset => f.write_str("reset")?,
                Act::Close => f.write_str("close")?,
            }
            if !waits {
                f.write_str("~")?;
            }
        }
        Ok(())
    }
}

#[test]
fn the_text_of_a_script_is_the_script() {
    for number in 0..200 {
        let script = Script::by_chance("splice", false, &mut Dice::of(1, 0, number));
        assert_eq!(Script::parse(&script.to_string()), Some(script));
    }
}
