//! The TLS settings of a route, with their files read: ready for handshakes, or a problem for each fault.
//!
//! A route uses TLS if it has its own table for it; keys that this table leaves out come from the table of the
//! defaults.

use std::sync::Arc;
use std::time::Duration;

use super::draft::Draft;
use super::files::Files;
use super::merge::{pick, time};
use crate::address::Protocol;
use crate::config::{FileName, Place, Problem, Written, WrittenTargetTls, WrittenTls};
use crate::transport::tls::{
    Alpn, MaxVersion, MinVersion, Pair, PairFile, Pin, TlsOrigination, TlsOriginationParts, TlsTermination,
    TlsTerminationParts, Trust, Verify, WhoMayConnect, read_certificates, read_pair, server_name,
};
use crate::units::{OrOff, counted, shown_path};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the problems of one table are collected.
struct Desk<'a, 't> {
    /// The path of the table, as `routes.web.tls`.
    table: String,
    place: &'a Place,
    files: &'a mut Files<'t>,
    problems: &'a mut Vec<Problem>,
}

/// TLS with the clients of a route. `None` if there is a problem, which has been added to `problems`.
pub(super) fn with_clients(
    draft: &Draft,
    defaults: &WrittenTls,
    files: &mut Files<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Option<Arc<TlsTermination>>> {
    let own = &draft.settings.tls;
    let Some(place) = own.place.as_ref().filter(|_| draft.protocol == Protocol::Tcp) else {
        return Some(None);
    };
    let mut desk = Desk { table: draft.key("tls"), place, files, problems };
    // A certificate and its key belong together: they come from the same table.
    let of = if own.certificate.is_some() { own } else { defaults };
    let pairs = desk.pairs(of.certificate.as_deref(), of.key.as_deref());
    let who = desk.who(own, defaults);
    let (min_version, max_version) =
        desk.versions((&own.min_version, &defaults.min_version), (&own.max_version, &defaults.max_version))?;
    let parts = TlsTerminationParts {
        pairs: pairs?,
        who: who?,
        alpn: alpn(&own.alpn, &defaults.alpn),
        min_version,
        max_version,
        handshake_timeout: time(&own.handshake_timeout, &defaults.handshake_timeout, HANDSHAKE_TIMEOUT),
        session_tickets: pick(&own.session_tickets, &defaults.session_tickets).unwrap_or(true),
        close_notify: pick(&own.close_notify, &defaults.close_notify).unwrap_or_default(),
    };
    match TlsTermination::new(parts) {
        Ok(tls) => Some(Some(Arc::new(tls))),
        Err(why) => desk.wrong(place, "", format!("TLS cannot be set up: {why}"), "see the files it names"),
    }
}

/// TLS with the targets of a route. `None` if there is a problem, which has been added to `problems`.
pub(super) fn with_targets(
    draft: &Draft,
    defaults: &WrittenTargetTls,
    files: &mut Files<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Option<Arc<TlsOrigination>>> {
    let own = &draft.settings.target_tls;
    let Some(place) = own.place.as_ref().filter(|_| draft.protocol == Protocol::Tcp) else {
        return Some(None);
    };
    let mut desk = Desk { table: draft.key("target_tls"), place, files, problems };
    let (name, sni) = (pick(&own.name, &defaults.name), pick(&own.sni, &defaults.sni));
    let verify = pick(&own.verify, &defaults.verify).unwrap_or_default();
    let is_named = name.is_some() || matches!(sni, Some(OrOff(Some(_))));
    if !is_named && verify == Verify::Full {
        desk.target_has_name(draft)?;
    }
    let common_name = own.common_name.as_ref().or(defaults.common_name.as_ref()).filter(|it| it.value);
    if let Some(written) = common_name
        && own.ca.as_ref().or(defaults.ca.as_ref()).is_none()
        && verify == Verify::Full
    {
        let message =
            "the authorities this system trusts make no certificates without a list of names".into();
        let help = "name your own authority under ca, or leave common_name out";
        return desk.wrong(&written.place, "common_name", message, help);
    }
    let (min_version, max_version) =
        desk.versions((&own.min_version, &defaults.min_version), (&own.max_version, &defaults.max_version))?;
    let of = if own.certificate.is_some() { own } else { defaults };
    let pair = match of.certificate.as_deref().filter(|list| !list.is_empty()) {
        Some([_, second, ..]) => {
            let message = "only one certificate can be shown to a target".into();
            return desk.wrong(&second.place, "certificate", message, "write one certificate and one key");
        }
        Some(only) => desk.pairs(Some(only), of.key.as_deref())?.pop(),
        None => None,
    };
    let parts = TlsOriginationParts {
        name,
        sni,
        common_name: common_name.is_some(),
        pins: pins(&own.pin, &defaults.pin),
        trust: desk.trust(own.ca.as_ref().or(defaults.ca.as_ref()), verify)?,
        pair,
        alpn: alpn(&own.alpn, &defaults.alpn),
        min_version,
        max_version,
        handshake_timeout: time(&own.handshake_timeout, &defaults.handshake_timeout, HANDSHAKE_TIMEOUT),
        session_tickets: pick(&own.session_tickets, &defaults.session_tickets).unwrap_or(true),
        close_notify: pick(&own.close_notify, &defaults.close_notify).unwrap_or_default(),
    };
    match TlsOrigination::new(parts) {
        Ok(tls) => Some(Some(Arc::new(tls))),
        Err(why) => desk.wrong(place, "", format!("TLS cannot be set up: {why}"), "see the files it names"),
    }
}

fn alpn(own: &Option<Vec<Written<Alpn>>>, defaults: &Option<Vec<Written<Alpn>>>) -> Vec<String> {
    let list = own.as_ref().or(defaults.as_ref());
    list.into_iter().flatten().map(|written| written.value.0.clone()).collect()
}

fn pins(own: &Option<Vec<Written<Pin>>>, defaults: &Option<Vec<Written<Pin>>>) -> Vec<Pin> {
    let list = own.as_ref().or(defaults.as_ref());
    list.into_iter().flatten().map(|written| written.value).collect()
}

impl Desk<'_, '_> {
    fn wrong<T>(&mut self, place: &Place, key: &str, message: String, help: impl Into<String>) -> Option<T> {
        let path = if key.is_empty() { self.table.clone() } else { format!("{}.{key}", self.table) };
        self.problems.push(Problem::new(place.clone(), path, message).help(help));
        None
    }

    /// The oldest and the newest version, each of the route or else of the defaults.
    fn versions(
        &mut self,
        (own_min, min): (&Option<Written<MinVersion>>, &Option<Written<MinVersion>>),
        (own_max, max): (&Option<Written<MaxVersion>>, &Option<Written<MaxVersion>>),
    ) -> Option<(MinVersion, MaxVersion)> {
        let (oldest, newest) =
            (pick(own_min, min).unwrap_or_default(), pick(own_max, max).unwrap_or_default());
        if (oldest, newest) != (MinVersion::Tls13, MaxVersion::Tls12) {
            return Some((oldest, newest));
        }
        let place = own_max.as_ref().map(|it| &it.place).or(own_min.as_ref().map(|it| &it.place));
        let message = "no version is left: max_version is older than min_version".into();
        let help = "write min_version = \"1.2\", or leave max_version out";
        self.wrong(&place.unwrap_or(self.place).clone(), "max_version", message, help)
    }

    fn pairs(
        &mut self,
        certificates: Option<&[Written<FileName>]>,
        keys: Option<&[Written<FileName>]>,
    ) -> Option<Vec<Pair>> {
        let Some(certificates) = certificates else {
            let help = "write certificate = \"FILE\" and key = \"FILE\"; `loopgate certificate localhost` makes a pair to try with";
            return self.wrong(self.place, "certificate", "TLS needs a certificate".into(), help);
        };
        // One file may hold both.
        let keys = keys.unwrap_or(certificates);
        if keys.len() != certificates.len() {
            let message = format!(
                "{} cannot go with {}",
                counted(keys.len(), "key"),
                counted(certificates.len(), "certificate")
            );
            let help = "write as many keys as certificates, in the same order";
            return self.wrong(&keys[0].place, "key", message, help);
        }
        let pairs: Vec<_> =
            certificates.iter().zip(keys).map(|(certificate, key)| self.pair(certificate, key)).collect();
        pairs.into_iter().collect()
    }

    fn pair(&mut self, certificate: &Written<FileName>, key: &Written<FileName>) -> Option<Pair> {
        let certificate_text = self.read(certificate, "certificate").map(|(bytes, _)| bytes);
        let (key_text, mode) = self.read(key, "key")?;
        match read_pair(&certificate_text?, &key_text) {
            Ok(pair) => Some(pair.with_key_of(self.files.path(key), mode)),
            Err(fault) => {
                let (written, name) = match fault.file {
                    PairFile::Certificate => (certificate, "certificate"),
                    PairFile::Key => (key, "key"),
                };
                let message = format!("{}: {}", self.shown(written), fault.what);
                self.wrong(&written.place, name, message, fault.help)
            }
        }
    }

    fn who(&mut self, own: &WrittenTls, defaults: &WrittenTls) -> Option<Option<WhoMayConnect>> {
        let ca = own.client_ca.as_ref().or(defaults.client_ca.as_ref());
        let ca = ca.and_then(|written| {
            let OrOff(file) = &written.value;
            Some(Written { value: file.clone()?, place: written.place.clone() })
        });
        let names = own.client_names.as_ref().or(defaults.client_names.as_ref());
        let pins = pins(&own.client_pin, &defaults.client_pin);
        let Some(ca) = ca else {
            let Some(first) = own.client_names.as_ref().and_then(|names| names.first()) else {
                let who = WhoMayConnect { ca: Vec::new(), names: Vec::new(), pins };
                return Some((!who.pins.is_empty()).then_some(who));
            };
            let message = match pins.is_empty() {
                true => "without client_ca no client is asked for a certificate",
                false => "without client_ca nobody vouches for the names in a certificate",
            };
            return self.wrong(&first.place, "client_names", message.into(), "add client_ca = \"FILE\"");
        };
        let ca = self.certificates(&ca, "client_ca")?;
        let names = names.into_iter().flatten().map(|written| written.value.clone()).collect();
        Some(Some(WhoMayConnect { ca, names, pins }))
    }

    fn trust(&mut self, ca: Option<&Written<FileName>>, verify: Verify) -> Option<Trust> {
        if verify == Verify::None {
            return Some(Trust::Any);
        }
        if let Some(ca) = ca {
            return self.certificates(ca, "ca").map(Trust::Given);
        }
        let authorities = self.files.authorities().to_vec();
        if authorities.is_empty() {
            let help = "install the package ca-certificates, or name the authority's certificate under ca";
            return self.wrong(self.place, "ca", "this system has no certificate authorities".into(), help);
        }
        Some(Trust::Given(authorities))
    }

    fn target_has_name(&mut self, draft: &Draft) -> Option<()> {
        let mut targets = draft.targets.iter().map(|target| target.address.value.first());
        // A route that the other end of a tunnel asks for is written without an address: its target is what that end offers.
        let is_asked_for = draft.listen.is_empty();
        if !is_asked_for && targets.all(|target| server_name(target).is_some()) {
            return Some(());
        }
        let message = "the name that the target's certificate must have is unknown".into();
        self.wrong(self.place, "name", message, "write name = \"HOST\", as the certificate has it")
    }

    fn certificates(
        &mut self,
        written: &Written<FileName>,
        key: &str,
    ) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
        let (bytes, _) = self.read(written, key)?;
        match read_certificates(&bytes) {
            Ok(certificates) => Some(certificates),
            Err(what) => {
                let message = format!("{}: {what}", self.shown(written));
                self.wrong(
                    &written.place,
                    key,
                    message,
                    "write the certificates of the authorities in PEM, one after another",
                )
            }
        }
    }

    fn read(&mut self, written: &Written<FileName>, key: &str) -> Option<(Vec<u8>, u32)> {
        match self.files.read(written) {
            Ok(content) => Some((content.bytes.clone(), content.mode)),
            Err(why) => {
                let why = why.clone();
                let message = format!("{}: {}", self.shown(written), why.what);
                self.wrong(&written.place, key, message, why.help)
            }
        }
    }

    /// The path of a file as messages show it.
    fn shown(&self, named: &Written<FileName>) -> String {
        shown_path(&self.files.path(named))
    }
}
