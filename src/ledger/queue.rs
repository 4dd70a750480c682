//! Log lines on their way out: a bounded queue with one writer thread, so that a slow terminal stops no session.
//!
//! A full queue drops lines, counts them and reports the count as soon as there is room. Lines are gathered for
//! [`GATHER`], so that a burst costs one write(2) and one wake-up, not one of each per line.

use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The largest number of queued bytes; about ten thousand records.
const MAX_BYTES: usize = 2 << 20;

/// How long the writer waits for more lines once it is woken.
const GATHER: Duration = Duration::from_millis(10);

/// A bounded queue of lines in front of a writer thread.
#[derive(Clone)]
pub struct LineQueue {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    writer_sleeps: bool,
    closed: bool,
    finished: bool,
}

impl LineQueue {
    /// Starts the writer thread over `out`. An error of `out` cannot be reported anywhere: the lines are lost. `note`
    /// makes the line that reports how many were dropped, in the form of the others.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        out: impl Write + Send + 'static,
        note: impl Fn(u64) -> String + Send + 'static,
    ) -> std::io::Result<LineQueue> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new() });
        let queue = LineQueue { shared: shared.clone() };
        thread::Builder::new().name("log".into()).spawn(move || shared.write_all(out, note))?;
        Ok(queue)
    }

    /// Appends what `write` adds, which must be whole lines. Blocks no longer than a memory copy takes.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.shared.lock();
        if waiting.bytes.len() >= MAX_BYTES {
            waiting.dropped += 1;
            return;
        }
        write(&mut waiting.bytes);
        if mem::take(&mut waiting.writer_sleeps) {
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything is written, at most for `patience`. Lines that come later are lost.
    pub fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut waiting = self.shared.lock();
        waiting.closed = true;
        self.shared.changed.notify_all();
        while !waiting.finished {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (waiting, _) = match self.shared.changed.wait_timeout(waiting, left) {
                Ok(next) => next,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write, note: impl Fn(u64) -> String) {
        let mut lines = Vec::new();
        loop {
            let (closed, dropped) = self.take(&mut lines);
            if dropped > 0 {
                lines.extend_from_slice(note(dropped).as_bytes());
            }
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            lines.shrink_to(64 << 10);
            if closed {
                break;
            }
        }
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Waits for lines and takes them all; returns whether these are the last ones and how many were dropped.
    fn take(&self, lines: &mut Vec<u8>) -> (bool, u64) {
        let mut waiting = self.lock();
        while waiting.bytes.is_empty() && waiting.dropped == 0 && !waiting.closed {
            waiting.writer_sleeps = true;
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.closed {
            drop(waiting);
            thread::sleep(GATHER);
            waiting = self.lock();
        }
        mem::swap(&mut waiting.bytes, lines);
        (waiting.closed, mem::take(&mut waiting.dropped))
    }
}

/// A [`Write`] into the queue: everything written until it is dropped is one line.
pub struct QueueWriter {
    queue: LineQueue,
    line: Vec<u8>,
}

impl LineQueue {
    /// A writer of one line.
    pub fn writer(&self) -> QueueWriter {
        QueueWriter { queue: self.clone(), line: Vec::new() }
    }
}

impl Write for QueueWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for QueueWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            let line = mem::take(&mut self.line);
            self.queue.append(|bytes| bytes.extend_from_slice(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends each write to the test; blocks until the test receives it.
    struct Slow(mpsc::SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_appended_before_the_close_is_written() {
        let (sender, written) = mpsc::sync_channel(16);
        let queue = LineQueue::start(Slow(sender), |dropped| format!("{dropped} lines dropped\n")).unwrap();

        queue.append(|bytes| bytes.extend_from_slice(b"one\n"));
        queue.append(|bytes| bytes.extend_from_slice(b"two\n"));
        queue.close(Duration::from_secs(10));

        assert_eq!(written.try_iter().flatten().collect::<Vec<u8>>(), b"one\ntwo\n");
    }

    #[test]
    fn a_full_queue_drops_counts_and_says_so() {
        let (sender, written) = mpsc::sync_channel(0);
        let queue = LineQueue::start(Slow(sender), |dropped| format!("{dropped} lines dropped\n")).unwrap();

        // No receiver reads yet: the first lot blocks the writer, two more fill the queue, the last two are dropped.
        for _ in 0..5 {
            queue.append(|bytes| bytes.extend_from_slice(&vec![b'x'; MAX_BYTES]));
        }
        let reader = thread::spawn(move || written.iter().flatten().collect::<Vec<u8>>());
        queue.close(Duration::from_secs(10));
        drop(queue);

        let text = String::from_utf8(reader.join().unwrap()).unwrap();
        assert!(text.contains("lines dropped"), "{}", &text[text.len().saturating_sub(80)..]);
    }
}
