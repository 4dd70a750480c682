//! A sandbox as systemd and containers make it: a seccomp filter that answers some system calls with an errno.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Runs `test` in a thread that is refused these system calls with `errno`, as are the programs that it starts.
pub(crate) fn without<T: Send>(calls: &[i64], errno: i32, test: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH.try_into().unwrap()).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    let inside = move || {
        apply_filter(&filter).unwrap();
        test()
    };
    thread::scope(|scope| scope.spawn(inside).join().unwrap())
}
