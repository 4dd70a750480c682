//! What the person at the keyboard asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Loopgate beside every other forwarder found here: the same loads, interleaved rounds, medians and spreads, CPU per
/// unit of work.
///
/// HAProxy, nginx (stream), socat, rinetd, stunnel, rathole and sshd are looked for on the PATH. VERSUS_REALM, VERSUS_PORTUNUS and VERSUS_ENVOY
/// name the programs of realm, Portunus and Envoy; VERSUS_LOOPGATE names another build of Loopgate to measure instead.
#[derive(Parser)]
#[command(name = "versus", bin_name = "cargo versus")]
pub(crate) struct Options {
    /// A few seconds with tiny loads: shows that everything works, measures nothing
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Rounds per workload; fewer are run when the budget is too small, and that is said [default: 5]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Of requests and short connections, as many more rounds until the medians of Loopgate and of the best other are known to
    /// within this, at most three times --rounds, as far as the budget reaches; 0 adds none [default: 5]
    #[arg(long, value_name = "PERCENT")]
    spread: Option<f64>,
    /// Seconds of measured load per turn [default: 1.5]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Only these workloads, by name or by its beginning: bulk, request-50, idle
    #[arg(long, value_name = "WORKLOAD", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Only these contestants: loopgate, direct, haproxy
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) with: Vec<String>,
    /// Everybody on the first N processors: with 1, a figure also shows what a forwarder costs its neighbours [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<usize>,
    /// The congestion control of sockets that choose none, in the run's namespace [default: the host's]
    #[arg(long, value_name = "NAME", conflicts_with = "host_network")]
    pub(crate) congestion: Option<String>,
    /// Stay in the host's network: its range of source ports caps short connections, for all forwarders alike
    #[arg(long)]
    pub(crate) host_network: bool,
    /// Minutes the whole run may take
    #[arg(long, value_name = "MINUTES", default_value_t = 30.0)]
    budget: f64,
    /// Where versus.json and versus.svg go [default: target/versus]
    #[arg(long, value_name = "DIR", default_value_os_t = default_out(), hide_default_value = true)]
    pub(crate) out: PathBuf,
}

impl Options {
    pub(crate) fn from_arguments() -> Options {
        Options::parse()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.smoke { 1 } else { 5 }).max(1)
    }

    /// How wide the interval of a median may be, relative to it; None where no round is to be added.
    pub(crate) fn spread(&self) -> Option<f64> {
        let percent = self.spread.unwrap_or(if self.smoke { 0.0 } else { 5.0 });
        (percent > 0.0).then_some(percent / 100.0)
    }

    pub(crate) fn measured(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.smoke { 0.1 } else { 1.5 });
        Duration::from_secs_f64(seconds.clamp(0.05, 60.0))
    }

    /// Load before the measured time: connections stand, buffers have grown, workers are awake.
    pub(crate) fn warm_up(&self) -> Duration {
        (self.measured() / 5).min(Duration::from_millis(300))
    }

    pub(crate) fn budget(&self) -> Duration {
        Duration::from_secs_f64(self.budget.clamp(0.1, 600.0) * 60.0)
    }
}

/// Beside what was built: the program lies in a folder of the target directory, wherever that is.
fn default_out() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from).join("versus")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["versus"], arguments].concat())
    }

    #[test]
    fn a_congestion_control_is_not_chosen_for_the_host() {
        assert!(options(&["--congestion", "reno", "--host-network"]).is_err());
        assert_eq!(options(&["--congestion", "reno"]).unwrap().congestion.as_deref(), Some("reno"));
    }

    #[test]
    fn rounds_are_added_for_a_spread_of_five_per_cent_but_for_none_in_a_smoke_run() {
        assert_eq!(options(&[]).unwrap().spread(), Some(0.05));
        assert_eq!(options(&["--spread", "2"]).unwrap().spread(), Some(0.02));
        assert_eq!(options(&["--spread", "0"]).unwrap().spread(), None);
        assert_eq!(options(&["--smoke"]).unwrap().spread(), None);
    }
}
