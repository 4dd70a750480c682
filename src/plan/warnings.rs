//! Warnings about settings that work: of TLS, expiry dates, keys that others may read, targets that are not verified; and
//! limits that refuse nobody.

use std::time::SystemTime;

use super::{Plan, Route, Tunnel};
use crate::acl::May;
use crate::config::bare_or_quoted;
use crate::transport::tls::{Pair, TlsOriginationParts, Trust};
use crate::units::shown_path;

/// A certificate that expires sooner than this is warned about: enough time to request the next one.
const SOON_DAYS: i64 = 14;

const DAY: i64 = 86_400;

/// A warning about a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caution {
    /// The route's name.
    pub route: String,
    /// Whether clients or targets certainly refuse it, rather than possibly.
    pub is_fault: bool,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Route {
    /// The warnings about its settings, which work all the same, at the time `now`.
    pub fn cautions(&self, now: SystemTime) -> Vec<Caution> {
        of(self, now)
    }
}

/// The warnings about all routes, in the order of their names.
pub fn cautions(plan: &Plan, now: SystemTime) -> Vec<Caution> {
    plan.routes.values().flat_map(|route| of(route, now)).collect()
}

/// The warnings about one route.
fn of(route: &Route, now: SystemTime) -> Vec<Caution> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
    let caution = |(is_fault, text)| Caution { route: route.name.to_string(), is_fault, text };
    let own = route.tls.iter().flat_map(|tls| &tls.parts().pairs);
    let shown = route.target_tls.iter().filter_map(|tls| tls.parts().pair.as_ref());
    let pairs: Vec<&Pair> = own.chain(shown).collect();
    let mut found: Vec<Caution> = pairs.iter().filter_map(|pair| dates(pair, now)).map(caution).collect();
    let mut open: Vec<String> = pairs.iter().filter_map(|pair| open_key(pair)).collect();
    open.dedup();
    found.extend(open.into_iter().map(|text| caution((false, text))));
    let is_anyone = |parts: &TlsOriginationParts| parts.trust == Trust::Any && parts.pins.is_empty();
    if route.target_tls.as_ref().is_some_and(|tls| is_anyone(tls.parts())) {
        let text = "target_tls.verify = \"none\": any server in the target's place is trusted; name the target's \
                    certificate under ca instead, or its public key under pin";
        found.push(caution((false, text.to_owned())));
    }
    if route.entry.dry_run && !route.entry.is_none() {
        found.push(caution((false, "limits_dry_run = true: its limits refuse nobody".to_owned())));
    }
    found
}

impl Tunnel {
    /// The warnings about what its other end may do here, which works all the same.
    pub fn cautions(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(open) = self.open_to_everybody() {
            found.push(format!(
                "{open}: restrict it under [tunnels.{name}.defaults], as allow = [\"192.168.0.0/16\"], or open it \
                 explicitly, as allow = [\"0.0.0.0/0\", \"::/0\"]",
                name = bare_or_quoted(self.name.as_str())
            ));
        }
        let inward: Vec<&May> = self.may_dial.into_this_machine().collect();
        if let Some(inward) = listed(&inward) {
            found.push(format!(
                "may_dial has {inward}: the other end reaches what this machine keeps for itself, such as services \
                 without a password and the credentials of a cloud"
            ));
        }
        found
    }
}

impl Tunnel {
    /// What its other end may open here that every client may connect to, as a sentence; `None` if there is nothing.
    pub fn open_to_everybody(&self) -> Option<String> {
        let open: Vec<&May> = self.may_listen.beyond_loopback().collect();
        let open = listed(&open).filter(|_| !self.templates.tcp.is_guarded())?;
        Some(format!(
            "may_listen opens {open} beyond this machine, and every client that can reach it may connect"
        ))
    }
}

/// The most entries that are named.
const MAX_NAMED: usize = 3;

/// Entries in words; `None` if there are none.
fn listed(entries: &[&May]) -> Option<String> {
    let named: Vec<String> = entries.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = entries.len().checked_sub(MAX_NAMED).filter(|more| *more > 0);
    let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
    (!named.is_empty()).then(|| named.join(", ") + &more)
}

/// How many certificates the routes show, and when the first of them expires, in seconds of Unix time.
pub fn certificates(plan: &Plan) -> (usize, Option<i64>) {
    let own = plan.routes.values().flat_map(|route| route.tls.iter().flat_map(|tls| &tls.parts().pairs));
    let shown =
        plan.routes.values().flat_map(|route| &route.target_tls).filter_map(|tls| tls.parts().pair.as_ref());
    let ends: Vec<i64> = own.chain(shown).map(|pair| pair.certificate.until).collect();
    (ends.len(), ends.into_iter().min())
}

fn dates(pair: &Pair, now: i64) -> Option<(bool, String)> {
    let certificate = &pair.certificate;
    let common_name = Some(&*certificate.common_name).filter(|name| !name.is_empty());
    let name = certificate.names().next().or(common_name).unwrap_or("without a name");
    let days = (certificate.until - now).div_euclid(DAY);
    if now > certificate.until {
        let ago = match -days - 1 {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            ago => format!("{ago} days ago"),
        };
        return Some((true, format!("the certificate for {name} expired {ago}: replace it")));
    }
    if now < certificate.from {
        return Some((
            true,
            format!("the certificate for {name} is not valid yet: is this machine's clock right?"),
        ));
    }
    (days < SOON_DAYS).then(|| {
        let left = match days {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            days => format!("in {days} days"),
        };
        (false, format!("the certificate for {name} expires {left}: replace the file, and the new one is used without a restart"))
    })
}

fn open_key(pair: &Pair) -> Option<String> {
    let (path, mode) = &pair.key_file;
    let path = shown_path(path);
    (mode & 0o077 != 0).then(|| format!("others may read the key {path} (mode {mode:04o}): chmod 600 {path}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::plan::parse;
    use crate::transport::secrecy::tests::give_list;

    /// The cautions, so many days from now, of a route whose certificate is valid for 100 days from now.
    fn cautioned(days: u64, mode: u32, more: &str) -> Vec<(bool, String)> {
        cautioned_of(days, more, |key| fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap())
    }

    /// The same, with rights that are given to the key's file.
    fn cautioned_of(days: u64, more: &str, give: impl Fn(&Path)) -> Vec<(bool, String)> {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + (since - Duration::from_secs(3600));
        params.not_after = epoch + (since + Duration::from_secs(100 * 86_400 + 3600));
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.path().join("a.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.path().join("a.key"), key.serialize_pem()).unwrap();
        give(&folder.path().join("a.key"));
        let name = folder.path().join("f.toml").display().to_string();
        let text =
            format!("routes.a = {{listen='1', target='2', tls={{certificate='a.pem', key='a.key'}}{more}}}");
        let plan = parse(&name, &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let then = now + Duration::from_secs(days * 86_400);
        cautions(&plan, then)
            .into_iter()
            .map(|it| (it.is_fault, it.text.replace(&folder.path().display().to_string(), "DIR")))
            .collect()
    }

    #[test]
    fn a_certificate_is_warned_about_before_and_after_its_end() {
        let only = |days| cautioned(days, 0o600, "");

        assert_eq!(only(80), []);
        assert!(only(90)[0].1.contains("a.example expires in 10 days") && !only(90)[0].0);
        assert!(only(99)[0].1.contains("expires tomorrow") && only(100)[0].1.contains("expires today"));
        assert!(only(101)[0].0 && only(101)[0].1.contains("expired today"), "{:?}", only(101));
        assert!(only(103)[0].1.contains("expired 2 days ago"));
    }

    #[test]
    fn a_key_whose_list_names_this_user_alone_is_no_open_key() {
        let of_list = |another| {
            cautioned_of(0, "", |key| {
                fs::set_permissions(key, fs::Permissions::from_mode(0o400)).unwrap();
                give_list(key, another);
            })
        };

        assert_eq!(of_list(None), []);
        // A file system without lists leaves it closed.
        let told = of_list(Some(65_533));
        assert!(told.is_empty() || told[0].1.contains("mode 0440"), "{told:?}");
    }

    #[test]
    fn an_open_key_and_a_target_that_is_not_verified_are_warned_about() {
        assert_eq!(
            cautioned(0, 0o640, ""),
            [(false, "others may read the key DIR/a.key (mode 0640): chmod 600 DIR/a.key".into())]
        );
        assert!(cautioned(0, 0o600, ", target_tls={verify='none'}")[0].1.contains("any server"));
    }
}
