//! Many targets at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::options::Options;
use super::target::reach_target;
use crate::address::{Protocol, TargetAddress};
use crate::diagnosis::Diagnosis;

/// Targets dialled concurrently: each may take seconds to time out.
const AT_ONCE: usize = 8;

/// Finds out whether each of these targets can be reached, eight at a time; the diagnoses are in the order of `wanted`.
pub fn reach_all(wanted: &[(TargetAddress, Protocol)], options: &Options) -> Vec<Diagnosis> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((at, (target, protocol))) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            wanted.get(at).map(|it| (at, it))
        } {
            let diagnosis = reach_target(target, *protocol, options.clone());
            answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(at, diagnosis);
        }
    };
    thread::scope(|scope| {
        for _ in 1..wanted.len().min(AT_ONCE) {
            // If the kernel refuses a thread, this one does the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    answers.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_values().collect()
}
