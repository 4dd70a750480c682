//! Looks users and groups up by name in /etc/passwd and /etc/group.
//!
//! Other name services are not queried: they may depend on the network that is failing, and a numeric id needs none.

use crate::probe::read_text;

/// The most bytes read of either file.
const MAX_FILE: u64 = 1 << 20;

/// The id of a user.
pub fn user(name: &str) -> Option<u32> {
    number(&read_text("/etc/passwd", MAX_FILE).ok()?, name)
}

/// The id of a group.
pub fn group(name: &str) -> Option<u32> {
    number(&read_text("/etc/group", MAX_FILE).ok()?, name)
}

/// Both files have the name first and the number third (passwd(5), group(5)).
fn number(table: &str, name: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_its_number() {
        let table = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nbroken\n";

        assert_eq!((number(table, "root"), number(table, "www-data")), (Some(0), Some(33)));
        assert_eq!((number(table, "www"), number(table, "broken"), number(table, "")), (None, None, None));
    }
}
