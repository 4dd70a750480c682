//! Users and groups in client lists: `uid:1000`, `gid:www-data`. They are for the clients of Unix sockets, whose kernel
//! says who they are (unix(7), SO_PEERCRED, SO_PEERGROUPS).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::units::{Misread, quoted};

/// A user or a group, as a list names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// Processes of this user: their effective one.
    User(IdOrName),
    /// Processes in this group: their effective one, and those they have beside it.
    Group(IdOrName),
}

/// The name or the number of either.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdOrName {
    /// A name, which the plan looks up.
    Name(Arc<str>),
    /// A number.
    Number(u32),
}

/// What other programs write, and what it is here.
const OTHERS: [(&str, &str); 6] =
    [("user:", "uid:"), ("group:", "gid:"), ("uid=", "uid:"), ("gid=", "gid:"), ("@", "gid:"), ("%", "gid:")];

impl Member {
    /// Whether this is an entry of this kind, well written or not.
    pub(super) fn is_meant(text: &str) -> bool {
        let starts =
            |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        starts("uid:") || starts("gid:") || OTHERS.iter().any(|(theirs, _)| starts(theirs))
    }
}

impl FromStr for Member {
    type Err = Misread;

    /// Reads `"uid:1000"` or `"gid:www-data"`.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let (of, name): (fn(IdOrName) -> Member, &str) =
            match (text.strip_prefix("uid:"), text.strip_prefix("gid:")) {
                (Some(name), _) => (Member::User, name),
                (_, Some(name)) => (Member::Group, name),
                _ => return Err(misread(text)),
            };
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(is_legal) {
            return Err(misread(text));
        }
        match name.parse() {
            Ok(u32::MAX) => Err(misread(text)),
            Ok(number) => Ok(of(IdOrName::Number(number))),
            Err(_) if name.bytes().all(|byte| byte.is_ascii_digit()) => Err(misread(text)),
            Err(_) => Ok(of(IdOrName::Name(name.into()))),
        }
    }
}

fn misread(text: &str) -> Misread {
    for (theirs, ours) in OTHERS {
        if let Some(name) = text.strip_prefix(theirs)
            && format!("{ours}{name}").parse::<Member>().is_ok()
        {
            let what = format!("{} is not how a user or a group is written", quoted(text));
            return Misread::new(what, format!("write \"{ours}{name}\""));
        }
    }
    let what = format!("{} names no user and no group", quoted(text));
    Misread::new(what, "write a name or a number, as \"uid:www-data\" or \"gid:33\"")
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, named) = match self {
            Member::User(named) => ("uid", named),
            Member::Group(named) => ("gid", named),
        };
        match named {
            IdOrName::Name(name) => write!(f, "{kind}:{name}"),
            IdOrName::Number(number) => write!(f, "{kind}:{number}"),
        }
    }
}

/// Users and groups by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The users, sorted.
    users: Vec<u32>,
    /// The groups, sorted.
    groups: Vec<u32>,
}

impl Members {
    /// These users and these groups.
    pub fn new(mut users: Vec<u32>, mut groups: Vec<u32>) -> Members {
        for numbers in [&mut users, &mut groups] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        Members { users, groups }
    }

    /// Those of several lists.
    pub fn joined<'m>(several: impl Iterator<Item = &'m Members>) -> Members {
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for members in several {
            users.extend(&members.users);
            groups.extend(&members.groups);
        }
        Members::new(users, groups)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether groups are among them.
    pub fn name_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Whether this process is one of them; `None` if that depends on its groups, which are not known.
    pub fn contain(&self, user: u32, groups: Option<&[u32]>) -> Option<bool> {
        if self.users.binary_search(&user).is_ok() {
            return Some(true);
        }
        match groups {
            _ if self.groups.is_empty() => Some(false),
            Some(groups) => Some(groups.iter().any(|group| self.groups.binary_search(group).is_ok())),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_and_a_group_are_read_by_name_or_number_and_printed_as_read() {
        for text in ["uid:0", "uid:www-data", "gid:33", "gid:svc_x$"] {
            assert_eq!(text.parse::<Member>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        let message = |text: &str| text.parse::<Member>().unwrap_err().to_string();

        assert!(message("user:www-data").ends_with(r#"write "uid:www-data""#));
        assert!(message("@wheel").ends_with(r#"write "gid:wheel""#));
        for text in ["uid:", "uid:-1", "uid:4294967295", "gid:99999999999", "gid:a b", "uid:a:b"] {
            assert!(message(text).contains("names no user and no group"), "{text}");
        }
    }

    #[test]
    fn what_depends_on_unknown_groups_is_not_known() {
        let members = Members::new(vec![7, 3, 7], vec![50]);

        assert_eq!(members.contain(3, None), Some(true));
        assert_eq!(members.contain(4, None), None);
        assert_eq!(members.contain(4, Some(&[9, 50])), Some(true));
        assert_eq!(members.contain(4, Some(&[9])), Some(false));
        assert_eq!(Members::new(vec![7], vec![]).contain(4, None), Some(false));
        assert_eq!(Members::joined([members, Members::new(vec![1], vec![])].iter()).users, [1, 3, 7]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", looks in "[ugUG]id[:=].{0,12}") {
            let _ = (text.parse::<Member>(), looks.parse::<Member>(), Member::is_meant(&text));
        }
    }
}
