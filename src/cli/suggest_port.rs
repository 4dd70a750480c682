//! The user's command line with a free port in place of the one that is taken.

use std::net::SocketAddr;

use crate::address::Spec;

/// The command that starts the same routes with the `free` port instead of that of `address`; `None` if the address does
/// not come from these arguments.
pub(super) fn command(arguments: &[String], address: SocketAddr, free: u16) -> Option<Vec<String>> {
    let mut found = false;
    let mut words = vec!["loopgate".to_owned()];
    for argument in arguments {
        let moved = route(argument)
            .filter(|spec| spec.listen.to_string() == address.to_string())
            .and_then(|_| with_port(argument, address.port(), free));
        found |= moved.is_some();
        words.push(moved.unwrap_or_else(|| argument.clone()));
    }
    found.then_some(words)
}

/// What the argument says if it is a route; where it dials does not matter.
fn route(argument: &str) -> Option<Spec> {
    let through = || Spec::dialling_in(&"tunnel".parse().ok()?, argument).ok();
    argument.parse().ok().or_else(through)
}

/// `62893:3000` → `62894:3000`, `[::1]:62893:db:5432` → `[::1]:62894:db:5432`
fn with_port(forward: &str, port: u16, free: u16) -> Option<String> {
    if let Some(rest) = forward.strip_prefix(&format!("{port}:")) {
        return Some(format!("{free}:{rest}"));
    }
    let (bind, rest) = forward.split_once(&format!(":{port}:"))?;
    Some(format!("{bind}:{free}:{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_to_a_name_at_the_other_end_of_a_tunnel_can_be_moved_too() {
        let arguments = ["-L", "5432:db", "--tunnel", "vps"].map(String::from);

        let words = command(&arguments, "127.0.0.1:5432".parse().unwrap(), 5433).unwrap();

        assert_eq!(words.join(" "), "loopgate -L 5433:db --tunnel vps");
    }

    #[test]
    fn only_the_port_that_is_taken_changes() {
        for (forward, want) in [
            ("62893:3000", "62894:3000"),
            ("62893:db:62893", "62894:db:62893"),
            ("127.0.0.1:62893:3000", "127.0.0.1:62894:3000"),
            ("[::1]:62893:db:5432", "[::1]:62894:db:5432"),
        ] {
            assert_eq!(with_port(forward, 62893, 62894).as_deref(), Some(want));
        }
    }
}
