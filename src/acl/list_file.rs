//! The lines of a list file → networks.
//!
//! A fault names no word of its line: the file may be any file that was named by mistake, such as a private key, and what
//! is said about it goes to the log.

use ipnet::IpNet;

use super::listed::{Listed, looks_like_a_name, meant};
use super::members::Member;
use crate::units::Misread;

/// The longest line of a list file, in bytes.
pub const MAX_LINE: usize = 256;

const EXAMPLE: &str = "write one network a line, as 192.168.0.0/16, or an address";

/// The entries of a list file.
#[derive(Debug, Default)]
pub struct ListFile {
    /// Its networks.
    pub networks: Vec<IpNet>,
    /// Its users and groups, each with its line number, from 1.
    pub members: Vec<(usize, Member)>,
    /// Its unreadable entries, each with its line number and without its words.
    pub misread: Vec<(usize, Misread)>,
}

/// Reads a list file: one entry per line; `#` and `;` begin a comment.
pub fn listed_in(text: &str) -> ListFile {
    let ListFile { mut networks, mut members, mut misread } = ListFile::default();
    for (n, line) in text.lines().enumerate() {
        let entry = line.split(['#', ';']).next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match entry.parse::<Listed>() {
            Ok(Listed::File(_)) => misread.push((n + 1, of_list())),
            Ok(Listed::Member(member)) => members.push((n + 1, member)),
            Ok(listed) => networks.extend(listed.networks()),
            Err(_) => misread.push((n + 1, fault(entry))),
        }
    }
    ListFile { networks, members, misread }
}

fn of_list() -> Misread {
    Misread::new("this names a file, and a list cannot name others", "name it in the configuration")
}

/// What is wrong with an entry that cannot be read, without a word of it.
fn fault(entry: &str) -> Misread {
    if entry.len() > MAX_LINE {
        return Misread::new("this is too long for a network", EXAMPLE);
    }
    if entry.starts_with("file:") {
        return of_list();
    }
    if entry.parse::<IpNet>().is_ok() {
        let instead = "clear those bits, as in 10.0.0.0/8, or write the address without a prefix";
        return Misread::new("the network has bits beyond its prefix", instead);
    }
    if meant(entry).is_some() {
        return Misread::new("this is not how a network is written", EXAMPLE);
    }
    if looks_like_a_name(entry) {
        return Misread::new("this is a name, and a client is known by its address alone", EXAMPLE);
    }
    Misread::new("this is not a network", EXAMPLE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acl::members::IdOrName;

    #[test]
    fn a_file_has_an_entry_a_line_and_comments() {
        let text = "# us\n10.0.0.0/8   # the office\r\n\n 192.0.2.1 ; SBL1\nlocalhost\n10.0.0.1/8\nfile:x\nuid:7 # ci\n";

        let ListFile { networks, members, misread } = listed_in(text);

        let networks: Vec<String> = networks.iter().map(|network| network.to_string()).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "127.0.0.0/8", "::1/128"]);
        assert_eq!(misread.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [6, 7]);
        assert_eq!(members, [(8, Member::User(IdOrName::Number(7)))]);
    }

    #[test]
    fn a_fault_says_what_was_expected_and_repeats_no_word() {
        let long = "secret ".repeat(50);
        for (line, what) in [
            ("10.0.0.9/8", "the network has bits beyond its prefix"),
            ("192.168.7.*", "this is not how a network is written"),
            ("10.0.0.0/255.0.0.0", "this is not how a network is written"),
            ("secret", "this is a name, and a client is known by its address alone"),
            ("file:secret", "this names a file, and a list cannot name others"),
            ("file:", "this names a file, and a list cannot name others"),
            ("root:$6$secret:20228:0:99999:7:::", "this is not a network"),
            ("MIIEpAIBAAKCAQEA/secret+", "this is not a network"),
            (long.as_str(), "this is too long for a network"),
        ] {
            let misread = listed_in(line).misread;

            assert_eq!(misread[0].1.what, what, "{line}");
            assert!(!misread[0].1.instead.contains(line));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_none_is_repeated(text in r"[g-z]{6,20}[/:.*]?[0-9g-z]{0,9}") {
            for (_, misread) in listed_in(&text).misread {
                prop_assert!(!misread.to_string().contains(&text), "{}", misread);
            }
        }
    }
}
