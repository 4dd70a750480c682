//! What a process group costs: CPU, memory, descriptors. Children that left the group, as those of a server of logins do,
//! belong to it as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nix::time::ClockId;
use rustix::process::Pid;

/// CPU seconds of all processes of the group, and of its processes that have ended and were waited for.
pub fn cpu_seconds(group: Pid) -> f64 {
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    members(group).iter().map(|member| member.cpu_seconds(tick)).sum()
}

/// The processes of the group.
pub fn processes(group: Pid) -> Vec<Pid> {
    members(group).iter().map(|member| member.id).collect()
}

/// CPU seconds of one process with all its threads, those that have ended too; without its children. Nothing if there is no
/// such process. The kernel's clock for it is exact, and needs no right to look into the process.
pub fn cpu_seconds_of(process: Pid) -> Option<f64> {
    let process = nix::unistd::Pid::from_raw(process.as_raw_nonzero().get());
    let spent = ClockId::pid_cpu_clock_id(process).and_then(ClockId::now).ok()?;
    Some(spent.tv_sec() as f64 + spent.tv_nsec() as f64 / 1e9)
}

/// Bytes of anonymous memory. A page that processes share since a fork is counted once, divided among them: RssAnon
/// would count it for each, and so book a forking server's inherited heap once per connection.
pub fn anonymous_bytes(group: Pid) -> f64 {
    members(group).iter().map(|member| member.kilobytes("smaps_rollup", "Pss_Anon:") * 1024.0).sum()
}

/// Open descriptors of the group.
pub fn descriptors(group: Pid) -> usize {
    members(group).iter().map(|member| member.descriptors().count()).sum()
}

/// The inodes of all sockets the group holds.
pub fn sockets(group: Pid) -> BTreeSet<u64> {
    let links = members(group);
    let links =
        links.iter().flat_map(Member::descriptors).filter_map(|descriptor| fs::read_link(descriptor).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// CPU seconds of the bench itself, without its children.
pub fn own_cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// CPU seconds the whole machine has been busy since it started, time stolen by a hypervisor included.
pub fn machine_busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().next().map_or(0.0, busy)
}

/// The same of these processors alone.
pub fn busy_seconds(cpus: &[usize]) -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let is_one = |name: &str| {
        name.strip_prefix("cpu").and_then(|cpu| cpu.parse().ok()).is_some_and(|cpu| cpus.contains(&cpu))
    };
    stat.lines().filter(|line| line.split_whitespace().next().is_some_and(is_one)).map(busy).sum()
}

/// Of a line of `/proc/stat`.
fn busy(line: &str) -> f64 {
    let ticks = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse::<f64>().ok());
    // user nice system idle iowait irq softirq steal, then guests, which are already in user and nice
    let busy: f64 =
        ticks.take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, t)| t).sum();
    busy / rustix::param::clock_ticks_per_second() as f64
}

/// Connections in TIME_WAIT on this machine, from all turns of the last minute.
pub fn time_wait() -> f64 {
    let stat = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let mut words = stat.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).and_then(|count| count.parse().ok()).unwrap_or(0.0)
}

struct Member {
    place: PathBuf,
    id: Pid,
    parent: Option<Pid>,
    group: Option<Pid>,
    /// In clock ticks: its own (user and system), and that of its children that were waited for.
    own: f64,
    reaped: f64,
}

impl Member {
    /// `/proc/PID/stat` counts in ticks of 10 ms, too coarse for a second of idling. The scheduler's own count is in
    /// nanoseconds but forgets threads that ended; where it is not behind the ticks, nothing was forgotten.
    fn cpu_seconds(&self, tick: f64) -> f64 {
        let threads = fs::read_dir(self.place.join("task")).into_iter().flatten().flatten();
        let precise: f64 = threads.filter_map(|thread| run_time(thread.path().join("schedstat"))).sum();
        precise.max(self.own * tick) + self.reaped * tick
    }

    fn kilobytes(&self, file: &str, key: &str) -> f64 {
        let text = fs::read_to_string(self.place.join(file)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    }

    fn descriptors(&self) -> impl Iterator<Item = PathBuf> + use<> {
        fs::read_dir(self.place.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path())
    }
}

fn run_time(schedstat: PathBuf) -> Option<f64> {
    let text = fs::read_to_string(schedstat).ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Those of the group itself, then their children, and the children of these.
fn members(group: Pid) -> Vec<Member> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = processes.filter_map(|process| member(process.path()));
    let (mut found, mut others): (Vec<Member>, Vec<Member>) =
        all.partition(|member| member.group == Some(group));
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|member| member.id) {
        let (children, rest) = others.into_iter().partition(|member| member.parent == Some(parent));
        found.extend::<Vec<Member>>(children);
        others = rest;
        next += 1;
    }
    found
}

fn member(place: PathBuf) -> Option<Member> {
    let id = place.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw)?;
    let stat = fs::read_to_string(place.join("stat")).ok()?;
    // The second field is the command in brackets, which may itself hold brackets and spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number =
        |index: usize| fields.get(index).and_then(|field| field.parse().ok()).and_then(Pid::from_raw);
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let (own, reaped) = (ticks(11)? + ticks(12)?, ticks(13)? + ticks(14)?);
    Some(Member { place, id, parent: number(1), group: number(2), own, reaped })
}
