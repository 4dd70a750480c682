//! The state of a process's threads, and what they wait for.
//!
//! Every user may read the state; only its user may read the kernel function that a thread waits in; only root, or a
//! process that may ptrace(2) it, may read the system call.

use std::fs;

use super::proc_stat::ProcStat;
use crate::probe::read_text;
use crate::units::shown;

/// The state of one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The letter of its state.
    pub state: char,
    /// The kernel function it waits in.
    pub waits_in: Option<String>,
    /// The system call it is in.
    pub call: Call,
}

/// The system call a thread is in, as far as it shows what the thread waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Call {
    /// It may not be read.
    #[default]
    Hidden,
    /// A call that reads from this descriptor: `read`, `recv…`, `accept…`.
    Reads(u32),
    /// A call that waits for any of several descriptors: `epoll_wait`, `poll`, `select`.
    Events {
        /// Whether it has no time-out.
        endless: bool,
    },
    /// Another call, or none: the thread runs.
    Other,
}

/// The most threads of a process that are read.
pub const MAX_THREADS: usize = 256;
const MAX_NAME_CHARS: usize = 32;
/// The kernel functions in which `epoll_wait`, `poll` and `select` sleep.
const EVENT_WAITS: [&str; 6] =
    ["ep_poll", "do_epoll", "poll_schedule", "do_poll", "do_sys_poll", "do_select"];

/// The kernel functions in which `accept` and reads from sockets and pipes sleep.
const INPUT_WAITS: [&str; 7] = [
    "inet_csk_accept",
    "wait_woken",
    "sk_wait_data",
    "unix_stream",
    "unix_accept",
    "pipe_read",
    "anon_pipe_read",
];

impl Thread {
    /// Whether it waits for any of several descriptors, as an event loop does.
    pub fn awaits_events(&self) -> bool {
        let place = self.waits_in.as_ref();
        let sleeps_there =
            place.is_some_and(|place| EVENT_WAITS.iter().any(|known| place.starts_with(known)));
        matches!(self.call, Call::Events { .. }) || self.call == Call::Hidden && sleeps_there
    }

    /// Whether it waits for input of any kind: events, bytes, a connection.
    pub fn awaits_input(&self) -> bool {
        let place = self.waits_in.as_ref();
        let sleeps_there =
            place.is_some_and(|place| INPUT_WAITS.iter().any(|known| place.starts_with(known)));
        self.awaits_events()
            || matches!(self.call, Call::Reads(_))
            || self.call == Call::Hidden && sleeps_there
    }

    /// Whether it is known what it waits for.
    pub fn is_seen(&self) -> bool {
        self.call != Call::Hidden || self.waits_in.is_some()
    }
}

/// The threads of a process, at most [`MAX_THREADS`].
pub fn of(pid: u32) -> Vec<Thread> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ids.take(MAX_THREADS).map(|id| thread(&format!("/proc/{pid}/task/{id}"))).collect()
}

fn thread(at: &str) -> Thread {
    let state = ProcStat::read_file(format!("{at}/stat")).map_or('?', |stat| stat.state);
    // "0" stands for a thread that runs, or one that may not be read.
    let waits_in = read_text(format!("{at}/wchan"), 256).ok().filter(|name| name != "0" && !name.is_empty());
    let call = read_text(format!("{at}/syscall"), 256).ok();
    Thread {
        state,
        waits_in: waits_in.map(|name| shown(&name, MAX_NAME_CHARS)),
        call: call.map_or(Call::Hidden, |call| read_call(&call)),
    }
}

/// Parses `45 0x7 …`: the number of a system call and its arguments; `running` if the thread is in none.
fn read_call(text: &str) -> Call {
    let mut fields = text.split_ascii_whitespace();
    let Some(number) = fields.next().and_then(|number| number.parse::<libc::c_long>().ok()) else {
        return Call::Other;
    };
    let arguments: Vec<u64> =
        fields.filter_map(|field| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok()).take(6).collect();
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
    if READING.contains(&number) {
        return u32::try_from(argument(0)).map_or(Call::Other, Call::Reads);
    }
    // A time-out in milliseconds is an int, and -1 means none; a time-out in a structure is a pointer, and null means
    // none.
    let milliseconds = |at: usize| Call::Events { endless: argument(at) as i32 == -1 };
    let structure = |at: usize| Call::Events { endless: argument(at) == 0 };
    match number {
        libc::SYS_epoll_pwait => milliseconds(3),
        libc::SYS_epoll_pwait2 => structure(3),
        libc::SYS_ppoll => structure(2),
        libc::SYS_pselect6 => structure(4),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => milliseconds(3),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => milliseconds(2),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => structure(4),
        _ => Call::Other,
    }
}

const READING: [libc::c_long; 6] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thread_that_blocks_in_a_read_is_seen_on_its_descriptor() {
        let reading = format!("{} 0x7 0x55 0x10 0x0 0x0 0x0 0x7ffc 0x7f", libc::SYS_recvfrom);
        let sleeping = format!("{} 0x0 0x0 0x7ffc 0x0 0x0 0x0 0x7ffc 0x7f", libc::SYS_clock_nanosleep);

        assert_eq!(read_call(&reading), Call::Reads(7));
        assert_eq!(read_call(&sleeping), Call::Other);
        assert_eq!(read_call("running"), Call::Other);
    }

    #[test]
    fn a_wait_for_events_ends_by_time_or_it_does_not() {
        let epoll = |timeout: &str| format!("{} 0x3 0x7f 0x100 {timeout} 0x0 0x8", libc::SYS_epoll_pwait);
        let poll = |timeout: &str| format!("{} 0x7f 0x2 {timeout} 0x0 0x8 0x0", libc::SYS_ppoll);

        for endless in [epoll("0xffffffffffffffff"), epoll("0xffffffff"), poll("0x0")] {
            assert_eq!(read_call(&endless), Call::Events { endless: true }, "{endless}");
        }
        for timed in [epoll("0xfa0"), poll("0x7ffd12")] {
            assert_eq!(read_call(&timed), Call::Events { endless: false }, "{timed}");
        }
    }

    #[test]
    fn where_the_call_is_hidden_the_place_tells() {
        let at = |place: &str| Thread { waits_in: Some(place.to_owned()), ..Thread::default() };

        assert!(at("ep_poll").awaits_events() && at("poll_schedule_timeout.constprop.0").awaits_events());
        assert!(!at("hrtimer_nanosleep").awaits_events() && !Thread::default().is_seen());
    }

    proptest! {
        #[test]
        fn no_call_panics(text in ".*") {
            let _ = read_call(&text);
        }
    }
}
