//! Locks of the folders in which Unix sockets are about to be bound, against other instances of this program: of two
//! starts at the same time, the second must not take the first one's new socket for a left-over file.
//!
//! Anybody who may read a folder can hold its lock for as long as they like, so it is waited for once, for all folders
//! together, and not by the thread that hears signals. Without the lock, as without the permission to read the folder, the risk is accepted.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::address::{ListenAddress, UnixName};

/// The longest wait for all locks of one declaration; another instance holds one for the time of its binds.
const PATIENCE: Duration = Duration::from_millis(500);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The most folders that are locked at one time, each with a descriptor.
const MAX_FOLDERS: usize = 64;

/// Locked folders, until it is dropped.
#[derive(Default)]
pub struct FolderLocks(Vec<OwnedFd>);

impl FolderLocks {
    /// Locks the folders of those addresses that are paths.
    pub async fn of<'a>(addresses: impl Iterator<Item = &'a ListenAddress>) -> FolderLocks {
        let folders: BTreeSet<&str> = addresses.filter_map(folder).collect();
        let deadline = Instant::now() + PATIENCE;
        let (mut locks, mut locked) = (FolderLocks::default(), BTreeSet::new());
        for folder in folders.into_iter().take(MAX_FOLDERS) {
            let Some(folder) = held(folder) else { continue };
            // The same folder by another path is locked already.
            let is_new = fstat(&folder).is_ok_and(|it| locked.insert((it.st_dev, it.st_ino)));
            if is_new && lock(&folder, deadline).await {
                locks.0.push(folder);
            }
        }
        locks
    }

    /// Locks the folder of one address, on a thread that may wait as long.
    pub(crate) fn of_one(address: &ListenAddress) -> FolderLocks {
        let Some(folder) = folder(address).and_then(held) else { return FolderLocks::default() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match try_lock(&folder) {
                Ok(()) => return FolderLocks(vec![folder]),
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(BETWEEN_TRIES),
                Err(_) => return FolderLocks::default(),
            }
        }
    }
}

fn held(folder: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(folder, flags, Mode::empty()).ok()
}

fn try_lock(folder: &OwnedFd) -> Result<(), Errno> {
    flock(folder, FlockOperation::NonBlockingLockExclusive)
}

fn folder(address: &ListenAddress) -> Option<&str> {
    let ListenAddress::Unix(UnixName::Path(path)) = address else { return None };
    match path.rsplit_once('/')? {
        ("", _) => Some("/"),
        (folder, _) => Some(folder),
    }
}

async fn lock(folder: &OwnedFd, deadline: Instant) -> bool {
    loop {
        match try_lock(folder) {
            Ok(()) => return true,
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => sleep(BETWEEN_TRIES).await,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_locked_once_and_a_lock_that_another_holds_is_waited_for_once() {
        let (free, held) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |folder: &tempfile::TempDir, name: &str| {
            let path = format!("{}/{name}", folder.path().display());
            ListenAddress::Unix(UnixName::Path(path.as_str().into()))
        };
        let all: Vec<_> = (0..40).flat_map(|n| [path(&free, &n.to_string()), path(&held, "x")]).collect();

        let first = FolderLocks::of([path(&held, "y")].iter()).await;
        assert_eq!(first.0.len(), 1);
        let start = Instant::now();
        let second = FolderLocks::of(all.iter()).await;

        assert_eq!(second.0.len(), 1, "the other is held");
        assert!(start.elapsed() < 2 * PATIENCE);
        drop((first, second));
        assert_eq!(FolderLocks::of(all.iter()).await.0.len(), 2);
    }
}
