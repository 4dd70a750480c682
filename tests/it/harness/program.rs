//! Loopgate in its own process: its log lines, signals, descriptors and exit code. Dropping it kills the process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{TIMEOUT, wait_until};

/// The program under test.
pub(crate) const LOOPGATE: &str = env!("CARGO_BIN_EXE_loopgate");

/// A running program.
pub(crate) struct Program {
    child: Child,
    stderr: Option<ChildStderr>,
    lines: Option<Receiver<String>>,
    log: Vec<String>,
}

impl Program {
    /// Starts `loopgate ARGUMENTS` without waiting for it.
    pub(crate) fn start<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Program {
        Program::start_under(&[], arguments)
    }

    /// The same, under a command that replaces itself with it, such as `nice`.
    pub(crate) fn start_under<A: AsRef<str>>(
        before: &[&str],
        arguments: impl IntoIterator<Item = A>,
    ) -> Program {
        let mut program = Program::start_unread(before, arguments);
        program.read_on();
        program
    }

    /// The same, without reading its log until [`Program::read_on`].
    pub(crate) fn start_unread<A: AsRef<str>>(
        before: &[&str],
        arguments: impl IntoIterator<Item = A>,
    ) -> Program {
        let arguments = arguments.into_iter().map(|it| it.as_ref().to_owned());
        let words: Vec<String> =
            before.iter().map(|it| (*it).to_owned()).chain([LOOPGATE.to_owned()]).chain(arguments).collect();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env_remove("LOOPGATE_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {words:?}: {e}"));
        let stderr = child.stderr.take();
        Program { child, stderr, lines: None, log: Vec::new() }
    }

    /// Runs a configuration file, and returns once all routes listen.
    pub(crate) fn run(config: &Path) -> Program {
        let mut program = Program::start(["run", "-c", config.to_str().unwrap()]);
        program.wait_for("Forwarding ");
        program
    }

    /// Starts to read the log.
    pub(crate) fn read_on(&mut self) {
        let Some(stderr) = self.stderr.take() else { return };
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        self.lines = Some(lines);
    }

    /// The next line that contains `words`; the lines before it are kept for [`Program::log`].
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let lines = self.lines.as_ref().expect("its log is read");
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(_) => panic!("it never wrote {words:?}, only:\n{}", self.log.join("\n")),
            }
        }
    }

    /// The address it listens on, or `None` if it ends first.
    pub(crate) fn address_or_end(&mut self) -> Option<SocketAddr> {
        let deadline = Instant::now() + TIMEOUT;
        let lines = self.lines.as_ref().expect("its log is read");
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.log.push(line.clone());
            if line.contains("Forwarding ") {
                return Some(address_in(&line));
            }
        }
        None
    }

    /// The address of the next route that it reports.
    pub(crate) fn address(&mut self) -> SocketAddr {
        address_in(&self.wait_for("Forwarding "))
    }

    /// Every line so far; all lines if it has ended.
    pub(crate) fn log(&mut self) -> &[String] {
        let is_over = matches!(self.child.try_wait(), Ok(Some(_)));
        if let Some(lines) = &self.lines {
            while let Some(line) = if is_over { lines.recv().ok() } else { lines.try_recv().ok() } {
                self.log.push(line);
            }
        }
        &self.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits for its end; `None` if a signal killed it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait_until("it has ended", || self.child.try_wait().unwrap()).code()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its standard output; waits for its end.
    pub(crate) fn printed(&mut self) -> String {
        std::io::read_to_string(self.child.stdout.take().unwrap()).unwrap()
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// How many of its descriptors are pipes that it created itself, without the three standard streams.
    pub(crate) fn pipes(&self) -> usize {
        let links = fs::read_dir(self.proc("fd")).unwrap().flatten();
        links
            .filter(|link| link.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) > Some(2))
            .filter_map(|link| fs::read_link(link.path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("pipe:"))
            .count()
    }

    /// Whether it watches a process: the target's, once that is known.
    pub(crate) fn watches_a_process(&self) -> bool {
        let links = fs::read_dir(self.proc("fd")).unwrap().flatten();
        links
            .filter_map(|link| fs::read_link(link.path()).ok())
            .any(|link| link.to_string_lossy().contains("pidfd"))
    }

    /// Anonymous memory, in bytes.
    pub(crate) fn anonymous_memory(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.log();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            println!("--- the end of the program's log:\n{last}\n---");
        }
    }
}

/// The address in `Forwarding ADDRESS -> …`.
pub(crate) fn address_in(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("Forwarding ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
