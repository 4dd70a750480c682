//! `loopgate explain tunnel:NAME`: a tunnel of the configuration, or one that the command line describes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Run, TargetAddress, There, TunnelName};
use crate::config::Problems;
use crate::diagnosis::Diagnosis;
use crate::plan::{self, CommandTunnels, Plan, Sources, Tunnel};
use crate::tunnel::explain::{Depth, explain};
use crate::units::{quoted, shown_path};

/// What such an address begins with.
const PREFIX: &str = "tunnel:";

/// A route through a tunnel of the command line, since none is planned that nothing goes through. It is neither opened nor
/// asked about.
const THROUGH: &str = "4433:explained";

/// What was asked.
pub(super) struct Question<'q> {
    /// The address.
    pub(super) address: &'q str,
    /// The file that has the tunnel, or the key of this machine.
    pub(super) config: &'q Option<PathBuf>,
    /// Whether something was asked that has no meaning for a tunnel.
    pub(super) is_in_part: bool,
    /// How long a target may take to answer.
    pub(super) timeout: Duration,
}

/// A tunnel, and what in it.
enum Asked<'t> {
    /// `NAME`, `NAME/SERVICE` or `NAME/ADDRESS`.
    Named(TunnelName, Option<There>),
    /// `HOST[:PORT]#KEY`.
    Described(&'t str),
}

/// The diagnosis of a tunnel; `None` if something else is asked about.
pub(super) fn diagnosis(args: &Question<'_>) -> Option<Result<Diagnosis, String>> {
    let rest = args.address.strip_prefix(PREFIX)?;
    // A port of a host called tunnel.
    let is_port = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '-');
    (!is_port).then(|| explained(args, rest))
}

fn explained(args: &Question<'_>, rest: &str) -> Result<Diagnosis, String> {
    if args.is_in_part {
        return Err(
            "error: a tunnel is explained as a whole\n = help: leave out --listen, --udp and --expect".into(),
        );
    }
    let (plan, tunnel, only) = match read(args, rest)? {
        Asked::Named(name, only) => {
            let (plan, tunnel) = of_file(args, &name)?;
            (plan, tunnel, only)
        }
        Asked::Described(text) => {
            let (plan, tunnel) = of_command_line(args, text)?;
            (plan, tunnel, None)
        }
    };
    let depth = Depth { only, targets: true, runs: true, timeout: args.timeout };
    Ok(explain(&plan, &tunnel, &depth))
}

fn read<'t>(args: &Question<'_>, rest: &'t str) -> Result<Asked<'t>, String> {
    let told = |misread: crate::units::Misread| format!("error: {misread}");
    if rest.contains('#') {
        return Ok(Asked::Described(rest));
    }
    let Some((name, _)) = rest.split_once('/') else {
        return Ok(Asked::Named(rest.parse().map_err(told)?, None));
    };
    let target: Run<TargetAddress> = args.address.parse().map_err(told)?;
    let there = target.first().there().map(|it| it.to.clone());
    Ok(Asked::Named(name.parse().map_err(told)?, there))
}

fn of_file(args: &Question<'_>, name: &TunnelName) -> Result<(Arc<Plan>, Arc<Tunnel>), String> {
    let file = match &args.config {
        Some(file) => file.clone(),
        None => plan::default_file().map_err(|problems| told(&problems))?,
    };
    let shown = shown_path(&file);
    let plan = plan::load(&Sources { file: Some(file), ..Sources::default() }).map_err(|it| told(&it))?;
    match plan.tunnels.links.get(name).cloned() {
        Some(tunnel) => Ok((Arc::new(plan), tunnel)),
        None => Err(unknown(name, &plan, &shown)),
    }
}

fn unknown(name: &TunnelName, plan: &Plan, file: &str) -> String {
    let error = format!("error: {file} has no tunnel {}", quoted(name.as_str()));
    let known: Vec<&str> = plan.tunnels.links.keys().map(TunnelName::as_str).collect();
    match known.is_empty() {
        true => format!("{error}\n = help: it has none; for one without a file write tunnel:HOST#KEY"),
        false => format!("{error}\n = help: it has {}", known.join(", ")),
    }
}

/// A tunnel that is described as for `--tunnel`, with this machine's own key.
fn of_command_line(args: &Question<'_>, text: &str) -> Result<(Arc<Plan>, Arc<Tunnel>), String> {
    let named_in = args.config.clone().or_else(|| plan::default_file().ok());
    let tunnels = CommandTunnels { tunnels: vec![text.to_owned()], named_in, ..CommandTunnels::default() };
    let forwards = vec![THROUGH.to_owned()];
    let mut plan =
        plan::load(&Sources { tunnels, forwards, ..Sources::default() }).map_err(|it| told(&it))?;
    plan.routes.clear();
    let dialled = plan.tunnels.links.values().find(|it| !it.connect.is_empty()).cloned();
    let tunnel = dialled.ok_or("error: this describes no tunnel\n = help: write tunnel:HOST#KEY")?;
    Ok((Arc::new(plan), tunnel))
}

fn told(problems: &Problems) -> String {
    problems.render(super::output::colour(&std::io::stderr()))
}
