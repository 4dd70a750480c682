//! The arguments of this process as other processes see them in /proc/PID/cmdline.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// The longest arguments that are looked through, in bytes.
const MAX: u64 = 1 << 20;

/// The shortest text that is covered: a shorter one stands in many words.
const SHORTEST: usize = 4;

/// Where the arguments begin and end, among the fields of /proc/PID/stat behind the name (proc_pid_stat(5): fields 48 and
/// 49, and the first behind the name is the third).
const BEGIN: usize = 48 - 3;

/// Writes `*` over every letter of `text` in the arguments of this process, so that whoever lists processes from now on sees
/// none of it. What this process has read of its arguments stays.
///
/// The kernel shows the memory that it has put the arguments into (fs/proc/base.c, get_mm_cmdline). That is written through
/// /proc/self/mem: Rust gives no pointer to it, and no reference to it is held.
///
/// # Errors
/// The system does not let a process read or write its own memory so, or the text is not there, or too short to be found.
pub(crate) fn cover(text: &str) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or_else(missing)?;
    let mut places = fields.split_ascii_whitespace().skip(BEGIN).map(str::parse::<u64>);
    let (Some(Ok(begin)), Some(Ok(end))) = (places.next(), places.next()) else { return Err(missing()) };
    let length = end.checked_sub(begin).filter(|length| (1..MAX).contains(length)).ok_or_else(missing)?;
    let memory = File::options().read(true).write(true).open("/proc/self/mem")?;
    let mut arguments = vec![0; usize::try_from(length).unwrap_or_default()];
    memory.read_exact_at(&mut arguments, begin)?;
    let mut found = Err(missing());
    for at in 0..arguments.len() {
        if text.len() >= SHORTEST && arguments[at..].starts_with(text.as_bytes()) {
            memory.write_all_at(&vec![b'*'; text.len()], begin + at as u64)?;
            found = Ok(());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_argument_is_not_covered() {
        assert!(cover("").is_err());
        assert!(cover("of all arguments none is this one").is_err());
    }
}
