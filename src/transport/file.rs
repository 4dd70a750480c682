//! The mode and the owner of the file of a Unix listener, as a user writes them.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use rustix::fs::{Gid, Uid};
use serde::{Deserialize, Deserializer};

use crate::probe::system::users;
use crate::units::{Misread, from_text, quoted};

/// The attributes of the file of a Unix listener. A process that may write to it may connect (unix(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketFile {
    /// Its mode.
    pub mode: FileMode,
    /// Its owner; `None` leaves the user this program runs as.
    pub owner: Option<Account>,
    /// Its group; `None` leaves the group this program runs as.
    pub group: Option<Account>,
}

/// The permission bits of a file, 0 to 0777.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Default for FileMode {
    /// 0600: only the owner may connect.
    fn default() -> Self {
        FileMode(0o600)
    }
}

impl FromStr for FileMode {
    type Err = Misread;

    /// Reads `"0660"` or `"660"`, as chmod(1) does.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let digits = text.len() == 3 || text.len() == 4 && text.starts_with('0');
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && mode <= 0o777 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(FileMode(mode))
            }
            _ => Err(Misread::new(
                format!("{} is not a file mode", quoted(text)),
                r#"write it in octal, as "0660" for the owner and the group"#,
            )),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a file mode, as \"0660\"", |number| {
            Misread::new(
                "a file mode is written in quotes",
                format!(r#"write "{number}" in octal, as "0660""#),
            )
        })
    }
}

/// A user or a group: its name, or its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// A name of /etc/passwd or /etc/group.
    Name(Arc<str>),
    /// A number.
    Number(u32),
}

impl FromStr for Account {
    type Err = Misread;

    /// Reads `"www-data"` or `"33"`.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(legal) {
            let what = format!("{} is not the name of a user or a group", quoted(text));
            return Err(Misread::new(what, r#"write a name or a number, as "www-data" or "33""#));
        }
        match text.parse() {
            Ok(u32::MAX) => Err(Misread::new(
                format!("{text} is not the number of a user or a group"),
                "write a smaller one",
            )),
            Ok(number) => Ok(Account::Number(number)),
            Err(_) => Ok(Account::Name(text.into())),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Name(name) => name.fmt(f),
            Account::Number(number) => number.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "the name of a user or a group, as \"www-data\"", |number| {
            Misread::new("a user or a group is written in quotes", format!(r#"write "{number}""#))
        })
    }
}

/// The owner of the file, by number.
pub(super) struct Owner {
    pub(super) user: Option<Uid>,
    pub(super) group: Option<Gid>,
}

impl Owner {
    pub(super) fn find(wanted: &SocketFile) -> io::Result<Owner> {
        let user = wanted.owner.as_ref().map(|it| number(it, "user", users::user)).transpose()?;
        let group = wanted.group.as_ref().map(|it| number(it, "group", users::group)).transpose()?;
        Ok(Owner { user: user.map(Uid::from_raw), group: group.map(Gid::from_raw) })
    }
}

fn number(account: &Account, kind: &str, find: fn(&str) -> Option<u32>) -> io::Result<u32> {
    match account {
        Account::Number(number) => Ok(*number),
        Account::Name(name) => find(name).ok_or_else(|| {
            let table = if kind == "user" { "passwd" } else { "group" };
            io::Error::new(io::ErrorKind::InvalidInput, format!("no {kind} {name} in /etc/{table}"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mode_is_read_as_chmod_reads_it() {
        let read =
            |text: &str| text.parse::<FileMode>().map(|mode| mode.0).map_err(|misread| misread.to_string());

        assert_eq!((read("0660"), read("600"), read("0777")), (Ok(0o660), Ok(0o600), Ok(0o777)));
        for text in ["", "66", "1777", "0888", "00660", "+660", "rw-rw----", "0o660"] {
            assert!(read(text).unwrap_err().contains("is not a file mode"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_mode_is_read_back(mode in 0_u32..=0o777) {
            prop_assert_eq!(FileMode(mode).to_string().parse(), Ok(FileMode(mode)));
        }

        #[test]
        fn an_account_is_read_back(text in "[a-z0-9._$-]{0,12}") {
            if let Ok(account) = text.parse::<Account>() {
                let printed = account.to_string();
                prop_assert_eq!(printed.parse::<Account>(), Ok(account));
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (text.parse::<FileMode>(), text.parse::<Account>());
        }
    }
}
