//! One of socat's two addresses: its keyword, its parameters and its options.

/// One of the two addresses: its keyword, its parameters and its options.
pub(super) struct Address {
    pub(super) keyword: String,
    pub(super) parts: Vec<String>,
    pub(super) options: Vec<(String, Option<String>)>,
}

/// What an address does in a forwarder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Listens,
    Dials,
}

/// The kind of an address that can be carried over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Unix,
    Abstract,
    Tls,
}

impl Address {
    /// Parses an address, such as `TCP-LISTEN:8080,fork,bind=127.0.0.1`.
    pub(super) fn read(text: &str) -> Address {
        let mut pieces = pieces(text, ',');
        let head = if pieces.is_empty() { String::new() } else { pieces.remove(0) };
        let mut parts = self::pieces(&head, ':');
        let keyword = if parts.is_empty() { String::new() } else { parts.remove(0) };
        let option = |text: String| match text.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
            None => (text.to_ascii_lowercase(), None),
        };
        Address {
            keyword: keyword.to_ascii_uppercase(),
            parts,
            options: pieces.into_iter().map(option).collect(),
        }
    }

    pub(super) fn first(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    pub(super) fn kind(&self) -> Option<(Role, Kind)> {
        Some(match self.keyword.as_str() {
            "TCP-LISTEN" | "TCP-L" | "TCP4-LISTEN" | "TCP4-L" | "TCP6-LISTEN" | "TCP6-L" => {
                (Role::Listens, Kind::Tcp)
            }
            "UDP-LISTEN" | "UDP-L" | "UDP4-LISTEN" | "UDP4-L" | "UDP6-LISTEN" | "UDP6-L" | "UDP-RECVFROM"
            | "UDP4-RECVFROM" | "UDP6-RECVFROM" => (Role::Listens, Kind::Udp),
            "UNIX-LISTEN" | "UNIX-L" => (Role::Listens, Kind::Unix),
            "ABSTRACT-LISTEN" => (Role::Listens, Kind::Abstract),
            "OPENSSL-LISTEN" | "SSL-LISTEN" | "SSL-L" => (Role::Listens, Kind::Tls),
            "TCP" | "TCP4" | "TCP6" | "TCP-CONNECT" | "TCP4-CONNECT" | "TCP6-CONNECT" => {
                (Role::Dials, Kind::Tcp)
            }
            "UDP" | "UDP4" | "UDP6" | "UDP-CONNECT" | "UDP4-CONNECT" | "UDP6-CONNECT" | "UDP-SENDTO"
            | "UDP4-SENDTO" | "UDP6-SENDTO" => (Role::Dials, Kind::Udp),
            "UNIX" | "UNIX-CONNECT" | "UNIX-CLIENT" => (Role::Dials, Kind::Unix),
            "ABSTRACT-CONNECT" | "ABSTRACT-CLIENT" | "ABSTRACT" => (Role::Dials, Kind::Abstract),
            "OPENSSL" | "OPENSSL-CONNECT" | "SSL" => (Role::Dials, Kind::Tls),
            _ => return None,
        })
    }

    /// Why the address cannot be carried over.
    pub(super) fn why_not(&self) -> String {
        let keyword = &self.keyword;
        match keyword.as_str() {
            "EXEC" | "SYSTEM" | "SHELL" => {
                format!(
                    "{keyword}: Loopgate runs no program; let the program listen, and use its address as the target"
                )
            }
            "PROXY" | "PROXY-CONNECT" | "SOCKS" | "SOCKS4" | "SOCKS4A" | "SOCKS5" | "SOCKS5-CONNECT" => {
                format!("{keyword}: Loopgate connects to a target directly, not through another proxy")
            }
            "-" | "STDIO" | "STDIN" | "STDOUT" => {
                "standard input and output are not forwarded; use nc or socat".to_owned()
            }
            _ => {
                format!("{} is not a socket that a route can listen on or connect to", keyword.to_lowercase())
            }
        }
    }

    /// Applies `-6`: an address that names no family is IPv6.
    pub(super) fn prefer_six(&mut self) {
        let says_nothing = matches!(
            self.keyword.as_str(),
            "TCP-LISTEN"
                | "TCP-L"
                | "UDP-LISTEN"
                | "UDP-L"
                | "UDP-RECVFROM"
                | "OPENSSL-LISTEN"
                | "SSL-LISTEN"
                | "SSL-L"
        );
        if says_nothing && !self.options.iter().any(|(name, _)| name == "pf" || name == "protocol-family") {
            self.options.push(("pf".to_owned(), Some("ip6".to_owned())));
        }
    }

    /// Takes the value of an option by any of its names.
    pub(super) fn takes(&mut self, names: &[&str]) -> Option<String> {
        let found = self.options.iter().position(|(name, _)| names.contains(&name.as_str()))?;
        Some(self.options.remove(found).1.unwrap_or_default())
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.takes(&[name]).is_some_and(|value| value != "0")
    }
}

/// Splits at a character, except in brackets or after a backslash.
fn pieces(text: &str, at: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0_usize;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let last = pieces.len() - 1;
        match c {
            '\\' => pieces[last].extend(characters.next()),
            c if c == at && depth == 0 => pieces.push(String::new()),
            c => {
                depth = match c {
                    '[' | '{' | '(' => depth + 1,
                    ']' | '}' | ')' => depth.saturating_sub(1),
                    _ => depth,
                };
                pieces[last].push(c);
            }
        }
    }
    pieces
}
