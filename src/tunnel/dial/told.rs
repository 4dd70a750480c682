//! The state lines of a tunnel: one per transition.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;
use super::way::Reached;
use crate::address::TunnelName;
use crate::units::Seconds;

/// What was told last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Told {
    #[default]
    Nothing,
    Up(Reached),
    Down(&'static str),
}

impl Told {
    /// Whether it is news that the tunnel is up.
    pub(crate) fn is_up(&mut self, to: &Reached) -> bool {
        self.is_news(Told::Up(to.clone()))
    }

    /// Whether it is news that it is down for this reason.
    pub(crate) fn is_down(&mut self, code: &'static str) -> bool {
        self.is_news(Told::Down(code))
    }

    fn is_news(&mut self, now: Told) -> bool {
        let is_news = *self != now;
        *self = now;
        is_news
    }
}

/// `tunnel=vps up to=198.51.100.1:4433 rtt=21ms`, or `tunnel=vps up to=vps:4433 proxy=http://proxy:3128 rtt=21ms`
pub(crate) fn up(name: &TunnelName, reached: &Reached, rtt: Duration) {
    let (rtt, Reached { to, proxy }) = (Short(rtt), reached);
    tracing::info!("tunnel" = %name, state = "up", to, proxy, "tunnel={name} up to={reached} rtt={rtt}");
}

/// `tunnel=vps down cause=timed_out retry=4s to=vps.example.com:4433: …`
pub(crate) fn down(name: &TunnelName, to: &str, fault: &Fault, retry: Duration) {
    let (code, retry, words) = (fault.code(), Seconds(retry), fault.to_string());
    let words = if words.is_empty() { words } else { format!(": {words}") };
    tracing::warn!(
        "tunnel" = %name, state = "down", cause = code, to,
        "tunnel={name} down cause={code} retry={retry} to={to}{words}"
    );
}

/// `tunnel=vps comes and goes: up 6 times in 10 min, down by timed_out 4, lost 1 [tunnel-flapping]`
pub(crate) fn flaps(name: &TunnelName, times: usize, causes: &str) {
    let causes = if causes.is_empty() { String::new() } else { format!(", down by {causes}") };
    tracing::warn!(
        "tunnel" = %name,
        "tunnel={name} comes and goes: up {times} times in 10 min{causes} [tunnel-flapping]"
    );
}

/// "340us", "21ms", "1.2s".
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            time if time < Duration::from_millis(1) => write!(f, "{}us", time.as_micros()),
            time => Seconds(time).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transition_is_told() {
        let [one, other] = ["127.0.0.1:1", "127.0.0.1:2"].map(|to| Reached { to: to.into(), proxy: None });
        let mut told = Told::default();

        assert!(told.is_down("refused") && !told.is_down("refused") && told.is_down("timed_out"));
        assert!(told.is_up(&one) && !told.is_up(&one) && told.is_up(&other));
        assert!(told.is_up(&Reached { proxy: Some("http://proxy:3128".into()), ..other }));
        assert!(told.is_down("timed_out"));
    }

    #[test]
    fn a_round_trip_is_short() {
        let shown = [340, 21_000, 1_200_000].map(|us| Short(Duration::from_micros(us)).to_string());

        assert_eq!(shown, ["340us", "21ms", "1.2s"]);
    }
}
