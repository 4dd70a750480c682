//! What becomes of signals: the inherited mask and dispositions, the signals to ignore, and the last act of a process that
//! a signal ends at once.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::{io, mem, ptr};

/// The signals that report a fault of this process itself. Nothing that uses a lock or memory may run after one.
const FAULTS: [c_int; 7] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGSYS, libc::SIGTRAP];

/// The first signal after the classic ones, SIGRTMIN of the kernel (asm/signal.h); that of the C library is higher.
const FIRST_REALTIME: c_int = 32;

/// The highest descriptor that [`reset_connections_at_a_fault`] asks for: the kernel's usual most (fs.nr_open).
const MAX_DESCRIPTOR: libc::rlim_t = 1 << 20;

/// How SIGSEGV and SIGBUS were handled before: the standard library reports an overflow of the stack. A signal handler
/// reaches nothing but what is global.
static BEFORE: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

/// Unblocks every signal for this thread and those it starts. What a parent had blocked stays blocked over execve(2),
/// and SIGTERM would never arrive.
///
/// # Errors
/// The errno of pthread_sigmask(3).
pub(crate) fn unblock_all() -> io::Result<()> {
    // SAFETY: a zeroed sigset_t is valid, and lives for both calls; the old mask is not asked for.
    let errno = unsafe {
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut())
    };
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// Whether a signal is ignored now, as nohup(1) has it for SIGHUP.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    // SAFETY: a zeroed sigaction is valid and lives for the call, which changes nothing.
    unsafe {
        let mut now: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Ignores a signal. A number that is none, or is never ignored, changes nothing.
pub(crate) fn ignore(signal: c_int) {
    set(signal, libc::SIG_IGN, 0);
}

/// Ignores the signals without a meaning of their own, SIGRTMIN to SIGRTMAX.
pub(crate) fn ignore_realtime() {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(ignore);
}

/// Ignores the signals that a C library keeps for its threads, 32 up to SIGRTMIN, unless it has begun to use them:
/// without a handler they end the process. Its sigaction(2) refuses these numbers.
pub(crate) fn ignore_those_of_the_c_library() {
    /// The kernel's struct, where no member but the first is ever set here.
    #[repr(C)]
    struct Action {
        handler: libc::sighandler_t,
        rest: [usize; 7],
    }
    // SIG_DFL is 0, and so are no flags and an empty mask.
    let mut now = Action { handler: libc::SIG_DFL, rest: [0; 7] };
    let ignored = Action { handler: libc::SIG_IGN, rest: [0; 7] };
    for signal in FIRST_REALTIME..libc::SIGRTMIN() {
        // SAFETY: both structs live for the calls and are no smaller than the kernel's; a mask has 64 bits.
        unsafe {
            let mask_length = mem::size_of::<u64>();
            let asked = libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                ptr::null::<Action>(),
                &raw mut now,
                mask_length,
            );
            if asked == 0 && now.handler == libc::SIG_DFL {
                let none = ptr::null_mut::<Action>();
                libc::syscall(libc::SYS_rt_sigaction, signal, &raw const ignored, none, mask_length);
            }
        }
    }
}

/// Has every TCP connection reset when a fault ends the process, as abort(3) does. Without that the kernel closes them
/// with a FIN, and an answer that was cut looks whole.
pub(crate) fn reset_connections_at_a_fault() {
    for signal in FAULTS {
        let before = set(signal, at_fault as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
        if let (Some(slot), Some(before)) = (before_of(signal), before) {
            // Set once: a second call would keep our own handler as the one before.
            let _ = slot.set(before);
        }
    }
}

fn before_of(signal: c_int) -> Option<&'static OnceLock<libc::sigaction>> {
    match signal {
        libc::SIGSEGV => Some(&BEFORE[0]),
        libc::SIGBUS => Some(&BEFORE[1]),
        _ => None,
    }
}

/// Sets what a signal does; returns what it did before.
fn set(signal: c_int, action: usize, flags: c_int) -> Option<libc::sigaction> {
    // SAFETY: zeroed sigactions are valid and live for the call. `action` is SIG_IGN, SIG_DFL, or `at_fault` with
    // SA_SIGINFO, whose signature it has.
    unsafe {
        let mut new: libc::sigaction = mem::zeroed();
        let mut before: libc::sigaction = mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = flags;
        (libc::sigaction(signal, &raw const new, &raw mut before) == 0).then_some(before)
    }
}

/// Makes the close of every socket a reset, and lets the signal take its course. Calls only what signal-safety(7) lists,
/// and plain system calls.
extern "C" fn at_fault(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: `limit` and `at_once` live for the calls; a descriptor that is open is a socket of this process or answers
    // ENOTSOCK, and one that is not answers EBADF.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        for descriptor in 0..limit.rlim_cur.min(MAX_DESCRIPTOR) as c_int {
            let length = mem::size_of::<libc::linger>() as libc::socklen_t;
            let value = (&raw const at_once).cast();
            libc::setsockopt(descriptor, libc::SOL_SOCKET, libc::SO_LINGER, value, length);
        }
    }
    // SAFETY: the kernel hands a valid siginfo_t to a handler with SA_SIGINFO.
    let is_own_fault = unsafe { !info.is_null() && (*info).si_code > 0 };
    match before_of(signal).and_then(OnceLock::get).filter(|_| is_own_fault) {
        // The instruction is tried again, and meets the handler of the standard library or the default.
        // SAFETY: `before` is what sigaction(2) returned, and lives for ever.
        Some(before) => unsafe {
            libc::sigaction(signal, before, ptr::null_mut());
        },
        None => {
            set(signal, libc::SIG_DFL, 0);
            // SAFETY: raise(3) takes any number. The signal is delivered when this handler returns, by default.
            unsafe { libc::raise(signal) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_is_known_as_such() {
        assert!(!is_ignored(libc::SIGWINCH));
        ignore(libc::SIGWINCH);
        assert!(is_ignored(libc::SIGWINCH));
        // A number that is no signal is not.
        assert!(!is_ignored(0));
    }
}
