//! Programs the bench starts: each in its own process group, none of which outlives the bench.
//!
//! That holds for its end, an error, a panic, a signal and the watchdog. Killed by SIGKILL, the bench can do nothing: its
//! own roles end by themselves, but the forwarder of that turn runs on.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::measure;

/// The groups that live now, for the watchdog: it ends the bench while the owner of a group is busy elsewhere.
static ALIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// CPU seconds of all groups that have ended.
static SPENT: Mutex<f64> = Mutex::new(0.0);

/// A running program with all its children, and the programs that were started into its group. Dropping it kills them
/// all, also while a panic unwinds.
pub struct Group {
    child: Child,
    companions: Vec<Child>,
    id: Pid,
    status: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` as the head of a new group; what it writes to standard error goes to `errors`.
    ///
    /// # Errors
    /// If the file cannot be made, or the program cannot be started.
    pub fn start(command: &mut Command, errors: &Path) -> io::Result<Group> {
        Group::spawn(command.stderr(Stdio::from(File::create(errors)?)))
    }

    /// The same, with the standard error that the command has.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Group> {
        // The list is held meanwhile: a group started while the watchdog kills all others would outlive the bench.
        let mut alive = locked(&ALIVE);
        let child = command.process_group(0).spawn()?;
        let id = Pid::from_child(&child);
        alive.push(id);
        Ok(Group { child, companions: Vec::new(), id, status: None })
    }

    /// Starts a further program into the group, which is measured and ended with it; what it writes to standard error goes
    /// to `errors`.
    ///
    /// # Errors
    /// If the file cannot be made, or the program cannot be started.
    pub fn join(&mut self, command: &mut Command, errors: &Path) -> io::Result<()> {
        command.stderr(Stdio::from(File::create(errors)?));
        let child = command.process_group(self.id.as_raw_nonzero().get()).spawn()?;
        self.companions.push(child);
        Ok(())
    }

    /// The number of the group, which is that of its head.
    pub fn id(&self) -> Pid {
        self.id
    }

    /// The head of the group.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The status of the group's head if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() && has_ended(self.id) {
            self.reap();
        }
        self.status
    }

    /// Waits for the head, which has ended or was killed. What the group took is read before, while the kernel still
    /// keeps the count of its dead.
    fn reap(&mut self) {
        *locked(&SPENT) += measure::cpu_seconds(self.id);
        // Out of the list before the head is reaped: afterwards its number may belong to somebody else.
        locked(&ALIVE).retain(|id| *id != self.id);
        // Listed before: whoever left the group is known by a parent that is about to end.
        let all = measure::processes(self.id);
        let _ = kill_process_group(self.id, Signal::KILL);
        for process in all {
            let _ = kill_process(process, Signal::KILL);
        }
        for companion in &mut self.companions {
            let _ = companion.wait();
        }
        self.status = self.child.wait().ok();
    }

    /// Sends SIGHUP to the head alone, as an operator does.
    ///
    /// # Errors
    /// The errno of kill(2).
    pub fn hang_up(&self) -> io::Result<()> {
        Ok(kill_process(self.id, Signal::HUP)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.reap();
        }
    }
}

/// Kills every group that lives now, and lets nobody start another: the bench is about to end.
pub fn kill_all() {
    let alive = locked(&ALIVE);
    for id in alive.iter() {
        let _ = kill_process_group(*id, Signal::KILL);
    }
    std::mem::forget(alive);
}

/// CPU seconds of all groups that have ended so far.
pub fn spent() -> f64 {
    *locked(&SPENT)
}

/// Whether the process has ended, leaving it to be waited for.
fn has_ended(id: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(id), options), Ok(None))
}

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
