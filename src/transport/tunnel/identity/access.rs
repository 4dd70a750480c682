//! Whether anybody but this user and root may read or change a file of a secret.
//!
//! Pure: what the kernel says of the open file is an argument.

/// What the kernel says of an open file.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The user who owns it.
    pub(super) owner: u32,
    /// Its permission bits.
    pub(super) mode: u32,
    /// Its access control list as the extended attribute `system.posix_acl_access` has it, if it has one.
    pub(super) acl: Option<Vec<u8>>,
}

/// Why a file is not for this user alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposed {
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
pub(super) fn judge(facts: &Facts, us: u32) -> Result<(), Exposed> {
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
mod tests {
    use super::*;

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
        judge(&Facts { owner, mode, acl }, US)
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
