//! Whether anybody but this user and root may read or change a file of a secret: one rule for every kind of key.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use rustix::fs::fgetxattr;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Room for an access control list of 127 entries; a longer one counts as one that names others.
const MAX_LIST: usize = 1024;

/// The attribute that has a file's list.
const LIST: &str = "system.posix_acl_access";

/// Whether this open file, which has these attributes, is for this user and root alone.
pub(crate) fn judge(file: &File, meta: &Metadata) -> Result<(), Exposed> {
    let mode = meta.mode() & 0o777;
    // The list matters only where the bits of the group decide.
    let acl = if mode & 0o070 == 0 || mode & 0o007 != 0 { None } else { list(file) };
    judge_facts(&Facts { owner: meta.uid(), mode, acl }, geteuid().as_raw())
}

/// The access control list of the file, if it has one. An unreadable one is one that names others: its bytes are none.
fn list(file: &File) -> Option<Vec<u8>> {
    let mut bytes = vec![0; MAX_LIST];
    match fgetxattr(file, LIST, &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Some(bytes)
        }
        // None, or a file system without such lists (getxattr(2)).
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// What the kernel says of an open file.
#[derive(Clone, Debug)]
struct Facts {
    /// The user who owns it.
    owner: u32,
    /// Its permission bits.
    mode: u32,
    /// Its access control list as the extended attribute `system.posix_acl_access` has it, if it has one.
    acl: Option<Vec<u8>>,
}

/// Why a file is not for this user alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposed {
    /// Its owner is neither this user nor root, and could change it.
    OtherOwner,
    /// A group, everybody, or another user named in its list.
    Others,
}

/// Whether the file is for the user `us` and root alone.
///
/// The bits of the group count as the group's unless there is a list: then they are its mask, the most that any entry beside
/// the owner may give (acl(5)), and what counts is whom the entries name. systemd hands over a credential so (LoadCredential=;
/// `write_credential` in src/core/exec-credential.c): a file of root with mode 0400 and an entry that lets the service's user
/// read, which shows as 0440.
fn judge_facts(facts: &Facts, us: u32) -> Result<(), Exposed> {
    if ![us, ROOT].contains(&facts.owner) {
        return Err(Exposed::OtherOwner);
    }
    let is_private = match (facts.mode & 0o077, &facts.acl) {
        (0, _) => true,
        (bits, Some(acl)) if bits & 0o007 == 0 => names_only(acl, us),
        _ => false,
    };
    if is_private { Ok(()) } else { Err(Exposed::Others) }
}

const ROOT: u32 = 0;

/// The one version of the attribute (POSIX_ACL_XATTR_VERSION, include/uapi/linux/posix_acl_xattr.h).
const VERSION: u32 = 2;

/// The tags of entries that give something to somebody beside the owner (include/uapi/linux/posix_acl.h).
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const OTHER: u16 = 0x20;

/// Whether the list gives nothing to anybody but this user and root. A list that cannot be read gives everything.
fn names_only(acl: &[u8], us: u32) -> bool {
    let Some((version, entries)) = acl.split_first_chunk::<4>() else { return false };
    let (entries, rest) = entries.as_chunks::<8>();
    let gives_nothing = |entry: &[u8; 8]| {
        let [tag, tag2, rights, rights2, id @ ..] = *entry;
        let (tag, rights) = (u16::from_le_bytes([tag, tag2]), u16::from_le_bytes([rights, rights2]));
        match tag {
            USER => rights == 0 || [us, ROOT].contains(&u32::from_le_bytes(id)),
            GROUP_OBJ | GROUP | OTHER => rights == 0,
            // The owner, and the mask.
            _ => true,
        }
    };
    u32::from_le_bytes(*version) == VERSION && rest.is_empty() && entries.iter().all(gives_nothing)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// Gives a file of ours a list by which we may read, and `another` user if one is given. False on a file system without
    /// such lists.
    pub(crate) fn give_list(path: &Path, another: Option<u32>) -> bool {
        const NOBODY: u32 = u32::MAX;
        let users = [Some(geteuid().as_raw()), another];
        let entries: Vec<_> = [(1, 4, NOBODY)]
            .into_iter()
            .chain(users.into_iter().flatten().map(|user| (USER, 4, user)))
            .chain([(GROUP_OBJ, 0, NOBODY), (0x10, 4, NOBODY), (OTHER, 0, NOBODY)])
            .collect();
        let list = list(&entries).unwrap();
        match rustix::fs::setxattr(path, LIST, &list, rustix::fs::XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => false,
            given => given.map(|()| true).unwrap(),
        }
    }

    const US: u32 = 990;

    fn list(entries: &[(u16, u16, u32)]) -> Option<Vec<u8>> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        Some(bytes)
    }

    fn judged(owner: u32, mode: u32, acl: Option<Vec<u8>>) -> Result<(), Exposed> {
        judge_facts(&Facts { owner, mode, acl }, US)
    }

    #[test]
    fn a_file_is_ones_own_if_nobody_else_has_a_bit() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!((judged(US, mode, None), judged(0, mode, None)), (Ok(()), Ok(())), "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o620, 0o601, 0o660, 0o777] {
            assert_eq!(judged(US, mode, None), Err(Exposed::Others), "{mode:o}");
        }
        assert_eq!(judged(1000, 0o600, None), Err(Exposed::OtherOwner));
    }

    #[test]
    fn a_credential_of_systemd_is_accepted_and_a_list_with_others_is_not() {
        const NOBODY: u32 = u32::MAX;
        let with = |more: &[(u16, u16, u32)]| {
            let own = [(0x01, 4, NOBODY), (GROUP_OBJ, 0, NOBODY), (0x10, 4, NOBODY), (OTHER, 0, NOBODY)];
            list(&[&own[..], more].concat())
        };

        assert_eq!(judged(0, 0o440, with(&[(USER, 4, US)])), Ok(()));
        assert_eq!(judged(0, 0o440, with(&[(USER, 4, US), (USER, 0, 1000)])), Ok(()));

        assert_eq!(judged(0, 0o440, None), Err(Exposed::Others), "root's group");
        assert_eq!(judged(0, 0o440, with(&[(USER, 4, US), (USER, 4, 1000)])), Err(Exposed::Others));
        assert_eq!(judged(0, 0o440, with(&[(USER, 4, US), (GROUP, 4, US)])), Err(Exposed::Others));
        assert_eq!(judged(0, 0o440, list(&[(GROUP_OBJ, 4, NOBODY), (USER, 4, US)])), Err(Exposed::Others));
        assert_eq!(judged(0, 0o444, with(&[(USER, 4, US)])), Err(Exposed::Others));
        for damaged in [vec![], vec![2, 0, 0], vec![1, 0, 0, 0], vec![2, 0, 0, 0, 1]] {
            assert_eq!(judged(0, 0o440, Some(damaged)), Err(Exposed::Others));
        }
    }
}
