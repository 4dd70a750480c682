//! Which routes accept every client that can reach them.

use std::sync::Arc;

use super::Route;
use crate::address::ListenAddress;
use crate::transport::tls::TlsTermination;

impl Route {
    /// Whether it listens beyond this machine.
    pub fn is_exposed(&self) -> bool {
        self.listen.iter().any(|listen| match listen {
            ListenAddress::Net(net) => !net.ip.to_canonical().is_loopback(),
            // Who may connect there is the other end's to say.
            ListenAddress::Unix(_) | ListenAddress::There(_) => false,
        })
    }

    /// Whether the route restricts, or explicitly opens, who may connect: it has an `allow` (`["0.0.0.0/0", "::/0"]`
    /// included), or clients must show a certificate.
    pub fn is_guarded(&self) -> bool {
        let asks_who = |tls: &Arc<TlsTermination>| tls.parts().who.is_some();
        self.access.allow.is_some()
            || !self.proxy.accept.is_empty()
            || self.tls.as_ref().is_some_and(asks_who)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::parse;

    #[test]
    fn a_route_is_exposed_beyond_loopback_and_guarded_by_an_allow_alone() {
        let route = |listen: &str, more: &str| {
            let text = format!("[routes.a]\nlisten = {listen}\ntarget = '9'\n{more}");
            let plan = parse("f", &text, &[]).unwrap();
            let route = plan.routes.values().next().unwrap();
            (route.is_exposed(), route.is_guarded())
        };

        assert_eq!(route("'8080'", ""), (false, false));
        assert_eq!(
            route("['[::1]:8080', '127.0.0.9:8080', 'unix:/x', '[::ffff:127.0.0.1]:81']", ""),
            (false, false)
        );
        assert_eq!(route("['8080', '[::]:8081']", "deny = '10.0.0.0/8'"), (true, false));
        assert_eq!(route("'192.0.2.1:8080'", "accept_proxy = '192.0.2.7'"), (true, true));
        assert_eq!(route("'192.0.2.1:8080'", "allow = '192.0.2.0/24'"), (true, true));
    }
}
