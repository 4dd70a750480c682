//! A name in a route: `"a.example"`, or `"*.b.example"` for every name below `b.example`.
//!
//! Names are compared as in DNS: case and a trailing dot do not matter.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::units::{Misread, quoted};

/// The longest name in DNS, in bytes, without a trailing dot.
pub(super) const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// One name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// This name, in lower case.
    Exact(Box<str>),
    /// Every name that ends with a dot and this, with any number of labels in front; not the name itself.
    Below(Box<str>),
}

impl FromStr for Name {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Name, Misread> {
        refuse_other_forms(text)?;
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            let what = format!("{} has a * inside", quoted(text));
            return Err(Misread::new(
                what,
                r#"a * stands for whole labels in front alone, as "*.example.com""#,
            ));
        }
        if !name.is_ascii() {
            let what = format!("{} is not as a client sends it", quoted(text));
            return Err(Misread::new(what, "write it in its xn-- form"));
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name.len() > LONGEST || !name.split('.').all(is_label) {
            let what = format!("{} is not a host name", quoted(text));
            return Err(Misread::new(what, "a name has letters, digits, - and _, with dots between"));
        }
        Ok(if below { Name::Below(name.into()) } else { Name::Exact(name.into()) })
    }
}

/// Refuses common forms that are not a name, each with what to write instead.
fn refuse_other_forms(text: &str) -> Result<(), Misread> {
    let wrong = |what: &str, instead: String| Err(Misread::new(format!("{} {what}", quoted(text)), instead));
    let host = text
        .split_once("://")
        .map_or(text, |(_, rest)| rest)
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    if text.trim().is_empty() {
        return wrong("is no name", r#"write one, as "a.example""#.into());
    }
    if text == "*" || text == "default" || text == "_" {
        return wrong("is no name", "for all other names write target = \"…\" in the route".into());
    }
    if text.starts_with(['~', '^', '/']) || text.contains(['\\', '$', '(', '|']) {
        return wrong(
            "is a pattern, and a name is needed",
            r#"write each name, or "*.example.com" for all below one"#.into(),
        );
    }
    if let Some(parent) = text.strip_prefix('.').filter(|parent| !parent.is_empty()) {
        return wrong(
            "begins with a dot",
            format!("write {} for all names below it", quoted(&format!("*.{parent}"))),
        );
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        // RFC 6066, section 3: literal addresses are not permitted in a server's name.
        return wrong(
            "is an address, for which a client sends no name",
            "write target = \"…\" in the route for such clients".into(),
        );
    }
    if host.len() < text.len() && !host.is_empty() {
        let what = if text.contains("://") || port.is_empty() {
            "is a URL, and a name is needed"
        } else {
            "has a port"
        };
        return wrong(what, format!("write the name alone: {}", quoted(host)));
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(is_letter)
}

/// Whether a name may have this byte between its dots.
pub(super) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Exact(name) => f.write_str(name),
            Name::Below(name) => write!(f, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        match text.parse::<Name>() {
            Ok(name) => name.to_string(),
            Err(misread) => misread.to_string(),
        }
    }

    #[test]
    fn names_are_read_as_dns_compares_them() {
        assert_eq!(message("A.Example."), "a.example");
        assert_eq!(message("*.B.example"), "*.b.example");
        assert_eq!(message("_dmarc.x-y.example"), "_dmarc.x-y.example");
        assert_eq!("*.b".parse(), Ok(Name::Below("b".into())));
    }

    #[test]
    fn what_is_no_name_is_answered_with_what_to_write() {
        for (text, answer) in [
            ("", r#""" is no name; write one, as "a.example""#),
            ("*", r#""*" is no name; for all other names write target = "…" in the route"#),
            (".b.example", r#"".b.example" begins with a dot; write "*.b.example" for all names below it"#),
            (
                "a.*.example",
                r#""a.*.example" has a * inside; a * stands for whole labels in front alone, as "*.example.com""#,
            ),
            (
                "~^www\\.",
                r#""~^www\\." is a pattern, and a name is needed; write each name, or "*.example.com" for all below one"#,
            ),
            (
                "127.0.0.1",
                r#""127.0.0.1" is an address, for which a client sends no name; write target = "…" in the route for such clients"#,
            ),
            (
                "[::1]",
                r#""[::1]" is an address, for which a client sends no name; write target = "…" in the route for such clients"#,
            ),
            ("a.example:443", r#""a.example:443" has a port; write the name alone: "a.example""#),
            (
                "https://a.example/x",
                r#""https://a.example/x" is a URL, and a name is needed; write the name alone: "a.example""#,
            ),
            ("bücher.example", r#""bücher.example" is not as a client sends it; write it in its xn-- form"#),
            (
                "*.Bücher.example",
                r#""*.Bücher.example" is not as a client sends it; write it in its xn-- form"#,
            ),
            (
                "a..example",
                r#""a..example" is not a host name; a name has letters, digits, - and _, with dots between"#,
            ),
            ("a b", r#""a b" is not a host name; a name has letters, digits, - and _, with dots between"#),
        ] {
            assert_eq!(message(text), answer);
        }
    }
}
