//! A sandbox as systemd and containers make it: a seccomp filter that answers some system calls with an errno.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::thread;

use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::Eq;
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, apply_filter};

/// Runs `test` in a thread that is refused these system calls with `errno`, as are the programs that it starts.
pub(crate) fn without<T: Send>(calls: &[i64], errno: i32, test: impl FnOnce() -> T + Send) -> T {
    under(calls.iter().map(|call| (*call, Vec::new())).collect(), errno, test)
}

/// The same for the congestion control of a socket, which the process may then not choose.
pub(crate) fn without_congestion<T: Send>(errno: i32, test: impl FnOnce() -> T + Send) -> T {
    without_option(libc::IPPROTO_TCP, libc::TCP_CONGESTION, errno, test)
}

/// The same for trains of datagrams (udp(7), UDP_SEGMENT), which an old kernel lacks.
pub(crate) fn without_trains<T: Send>(errno: i32, test: impl FnOnce() -> T + Send) -> T {
    without_option(libc::SOL_UDP, libc::UDP_SEGMENT, errno, test)
}

fn without_option<T: Send>(level: i32, option: i32, errno: i32, test: impl FnOnce() -> T + Send) -> T {
    let equal = |argument, value: i32| SeccompCondition::new(argument, Dword, Eq, value as u64).unwrap();
    let rule = SeccompRule::new(vec![equal(1, level), equal(2, option)]);
    under([(libc::SYS_setsockopt, vec![rule.unwrap()])].into(), errno, test)
}

fn under<T: Send>(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32, test: impl FnOnce() -> T + Send) -> T {
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH.try_into().unwrap()).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    let inside = move || {
        apply_filter(&filter).unwrap();
        test()
    };
    thread::scope(|scope| scope.spawn(inside).join().unwrap())
}
