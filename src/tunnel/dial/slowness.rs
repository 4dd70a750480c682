//! Whether a tunnel's way is slow, by what the kernel says of its connections. Pure: the numbers are arguments.

use std::time::Duration;

use crate::units::counted;

/// The segments that are looked at together: fewer say little about a share.
const ENOUGH: u64 = 1000;

/// The share of segments sent again, in percent, from which a way counts as lossy.
const LOSSY: u64 = 2;

/// How many times the shortest round trip is late, and by how much at least: on a short way three times is nothing.
const LATE: u32 = 3;
const LATE_BY: Duration = Duration::from_millis(20);

/// So many looks in a row: one may fall into a burst of this tunnel's own.
const LOOKS: u32 = 3;

/// What the connections of a tunnel have done since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Segments with data that were sent, all together.
    pub(crate) sent: u64,
    /// Those of them that were sent again.
    pub(crate) again: u64,
    /// The round trip of the control, if it is known.
    pub(crate) round_trip: Option<Duration>,
}

/// What is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// Segments are lost: so many of so many.
    Lossy { again: u64, sent: u64 },
    /// The round trip is much longer than it was.
    Late { now: Duration, least: Duration },
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Slowness {
    sent: u64,
    again: u64,
    least: Option<Duration>,
    late: u32,
    is_told: bool,
}

impl Slowness {
    /// Another look. What to tell, once.
    pub(crate) fn look(&mut self, way: Way) -> Option<Slow> {
        let slow = self.lossy(way).or(self.late(way))?;
        (!std::mem::replace(&mut self.is_told, true)).then_some(slow)
    }

    fn lossy(&mut self, way: Way) -> Option<Slow> {
        self.sent += way.sent;
        self.again += way.again;
        if self.sent < ENOUGH {
            return None;
        }
        let (sent, again) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.again));
        (again * 100 > sent * LOSSY).then_some(Slow::Lossy { again, sent })
    }

    fn late(&mut self, way: Way) -> Option<Slow> {
        let now = way.round_trip?;
        let least = *self.least.insert(self.least.map_or(now, |least| least.min(now)));
        let is_late = now >= least * LATE && now - least >= LATE_BY;
        self.late = if is_late { self.late + 1 } else { 0 };
        (self.late >= LOOKS).then_some(Slow::Late { now, least })
    }
}

impl std::fmt::Display for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        match self {
            Slow::Lossy { again, sent } => {
                write!(f, "{again} of {} had to be sent again", counted(*sent as usize, "segment"))
            }
            Slow::Late { now, least } => {
                write!(f, "a round trip takes {:.0} ms, and took {:.0} ms at its best", ms(now), ms(least))
            }
        }
    }
}

/// What to do about it. `control` is the congestion control of the tunnel, if one is chosen; `may_set` is what the kernel
/// said to `bbr`, and `allowed` lists what every process may set.
pub(crate) fn remedy(control: Option<&str>, may_set: Result<(), i32>, allowed: &str) -> String {
    if control.is_some_and(|control| control.starts_with("bbr")) {
        return "its congestion control is bbr already, so the way itself is to be looked at".to_owned();
    }
    let set = "congestion = \"bbr\" in the tunnel helps, at both ends: each decides for what it sends";
    match may_set {
        Ok(()) => set.to_owned(),
        Err(libc::ENOENT) => format!("{set}. This kernel has no bbr yet: modprobe tcp_bbr"),
        Err(_) => {
            let key = "net.ipv4.tcp_allowed_congestion_control";
            let all = format!("{} bbr", allowed.trim());
            let all = all.trim();
            format!(
                "{set}. First, as root:\n  sysctl -w {key}=\"{all}\"\n  echo '{key} = {all}' >> \
                 /etc/sysctl.d/loopgate.conf"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sends(sent: u64, again: u64) -> Way {
        Way { sent, again, round_trip: None }
    }

    fn takes(ms: u64) -> Way {
        Way { round_trip: Some(Duration::from_millis(ms)), ..Way::default() }
    }

    #[test]
    fn more_than_two_percent_sent_again_is_told_once() {
        let mut slowness = Slowness::default();
        assert_eq!(slowness.look(sends(1000, 20)), None, "two percent");
        assert_eq!(slowness.look(sends(500, 300)), None, "too few to say");

        assert_eq!(slowness.look(sends(500, 1)), Some(Slow::Lossy { again: 301, sent: 1000 }));
        assert_eq!(slowness.look(sends(1000, 900)), None, "told already");
    }

    #[test]
    fn a_round_trip_three_times_as_long_is_told_if_it_stays_so() {
        let mut slowness = Slowness::default();
        for ms in [20, 60, 60, 25, 60, 60] {
            assert_eq!(slowness.look(takes(ms)), None, "{ms}");
        }

        let late = Slow::Late { now: Duration::from_millis(61), least: Duration::from_millis(20) };
        assert_eq!(slowness.look(takes(61)), Some(late));
        assert_eq!(late.to_string(), "a round trip takes 61 ms, and took 20 ms at its best");
    }

    #[test]
    fn a_short_way_is_not_late_for_a_few_milliseconds() {
        let mut slowness = Slowness::default();
        for ms in [1, 20, 20, 20, 20] {
            assert_eq!(slowness.look(takes(ms)), None);
        }
    }

    #[test]
    fn what_helps_depends_on_what_this_process_may_set() {
        assert!(remedy(None, Ok(()), "reno").ends_with("each decides for what it sends"));
        assert!(remedy(None, Err(libc::ENOENT), "reno").ends_with("modprobe tcp_bbr"));
        assert!(remedy(Some("bbr"), Ok(()), "reno").contains("already"));
        assert!(remedy(Some("cubic"), Err(libc::EPERM), "reno cubic\n").ends_with(
            "First, as root:\n  sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno cubic bbr\"\n  echo \
             'net.ipv4.tcp_allowed_congestion_control = reno cubic bbr' >> /etc/sysctl.d/loopgate.conf"
        ));
    }
}
