//! Where a plan comes from: a file, and what the command line says.

use std::fmt;
use std::path::PathBuf;

use super::far_end::FarEnd;

/// Where a plan comes from. At least one of the two must declare a route or a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file to read.
    pub file: Option<PathBuf>,
    /// Routes of the command line, each `[bind:]port:[host:]port`; through the tunnel if the command line names one.
    pub forwards: Vec<String>,
    /// What the command line says about tunnels.
    pub tunnels: CommandTunnels,
}

/// What the command line says about tunnels, each as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandTunnels {
    /// `-R`: routes that listen at the other end.
    pub reverse: Vec<String>,
    /// `--tunnel`: `HOST[:PORT]#KEY` dials, `NAME=KEY` lets that key in, and `NAME` is a tunnel of the file.
    pub tunnels: Vec<String>,
    /// `--tunnel-listen`: where other Loopgates connect to.
    pub listen: Vec<String>,
    /// `--may-listen`: what the other end of the one tunnel may have us listen on.
    pub may_listen: Vec<String>,
    /// `--may-dial`: what it may have us dial.
    pub may_dial: Vec<String>,
    /// `--proxy-url`: the proxy that the one tunnel is dialled through.
    pub proxy_url: Option<Secret>,
    /// Where a NAME is looked up if no file is run: of this file `[defaults]`, `[limits]`, `[log]`, the key of `[tunnel]` and
    /// the tunnels named here count, and nothing else.
    pub named_in: Option<PathBuf>,
}

/// A text that may have a password in it. Its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl CommandTunnels {
    /// Whether the command line says nothing about tunnels.
    pub fn is_empty(&self) -> bool {
        let CommandTunnels { reverse, tunnels, listen, may_listen, may_dial, proxy_url, named_in: _ } = self;
        let lists = [reverse, tunnels, listen, may_listen, may_dial];
        lists.iter().all(|list| list.is_empty()) && proxy_url.is_none()
    }

    /// Whether one of the tunnels is dialled by its address and known by its key.
    pub fn dials(&self) -> bool {
        self.tunnels.iter().any(|text| matches!(text.parse(), Ok(FarEnd::Dialled(..))))
    }
}
