//! What answers where no Loopgate does: a second look, as an ordinary client has it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::super::dial::way::Way;
use crate::address::Address;
use crate::diagnosis::tunnel::{Issuer, Shown, TryEnd};
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{self, Wish};
use crate::proxy_protocol::{Ends, Form};
use crate::transport::tls::{self, read_certificates};
use crate::transport::tunnel::identity::{Dialling, HandshakeFault, PrivateKey, PublicKey, dial_handshake};
use crate::transport::{Congestion, Stream};
use crate::units::shown;

/// How long each look may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a server may take that speaks no TLS.
const WORDS: Duration = Duration::from_secs(1);

/// The most characters that are shown of a name in a certificate.
const MAX_NAME: usize = 64;

/// Folders with the authorities that an administrator has added: update-ca-certificates(8) of Debian, update-ca-trust(8) of
/// Fedora and of Arch, and that of SUSE.
const ADDED: [&str; 4] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors",
    "/etc/pki/trust/anchors",
];

/// The most files that are read there.
const MAX_FILES: usize = 256;

/// The largest of them, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is looked at.
pub(super) struct Place<'p> {
    pub(super) way: &'p Way,
    /// What is dialled for it from here.
    pub(super) peer: SocketAddr,
    /// Where whoever connects from this machine must send a PROXY header first.
    pub(super) announces: bool,
    /// As it was dialled.
    pub(super) host: &'p str,
    pub(super) runtime: &'p Runtime,
}

impl Place<'_> {
    /// What a look at a new connection shows, if it is had in time.
    fn look<T>(&self, look: impl AsyncFnOnce(Stream) -> Option<T>) -> Option<T> {
        let looked = async {
            let plain = Congestion::default();
            let stream = self.way.connect(&[Address::Net(self.peer)], [&plain; 2]).await.ok()?;
            if self.announces {
                stream.send_all(&Form::V2.announce_own(Ends::Own)).await.ok()?;
            }
            look(stream).await
        };
        self.runtime.block_on(async { timeout(PATIENCE, looked).await.ok().flatten() })
    }
}

/// What it says in plain text, as the diagnosis of any target finds it out; `None` if that is TLS, or nothing known, as behind a
/// proxy.
pub(super) fn of_words(place: &Place<'_>) -> Option<TryEnd> {
    if let Way::Proxied(_) = place.way {
        return None;
    }
    let host = format!("{}:{}", place.host, place.peer.port());
    let wish = Wish { timeout: WORDS, first: Protocol::Http, host, other_hosts: Vec::new() };
    let trace = trace::tcp(place.peer, &wish, &mut |_| Duration::ZERO);
    let found = trace.connections.iter().find_map(trace::Connection::recognised)?;
    let protocol = Some(found.protocol.to_string());
    (found.protocol != Protocol::Tls).then_some(TryEnd::NotTls { protocol, words: found.text })
}

/// The certificate that an ordinary client is shown.
pub(super) fn of_certificate(place: &Place<'_>) -> Option<Shown> {
    let seen = place.look(async |stream| tls::look(&stream, place.host).await)?;
    let known = match () {
        () if seen.is_its_own_issuer() => Issuer::Itself,
        () if seen.is_signed_by(&added()) => Issuer::Added,
        () if seen.is_signed_by(&rustls_native_certs::load_native_certs().certs) => Issuer::Public,
        () => Issuer::Unknown,
    };
    Some(Shown {
        name: shown(&seen.name(), MAX_NAME),
        is_for_host: seen.is_for(place.host),
        issuer: shown(&seen.issuer(), MAX_NAME),
        known,
    })
}

/// The key that a Loopgate of any version proves to whoever connects.
pub(super) fn behind(place: &Place<'_>, own: &PrivateKey) -> Option<PublicKey> {
    key(place, &Dialling::new(own, &[]).of_any_version())
}

/// The key of a Loopgate of this version.
pub(super) fn proven(place: &Place<'_>, own: &PrivateKey) -> Option<PublicKey> {
    key(place, &Dialling::new(own, &[]))
}

/// No key is expected, so this end breaks off before it shows its own.
fn key(place: &Place<'_>, tls: &Dialling) -> Option<PublicKey> {
    place.look(async |stream| match dial_handshake(&stream, tls, place.host).await {
        Err(HandshakeFault::WrongKey(key)) => Some(key),
        _ => None,
    })
}

/// The authorities that an administrator has added to this machine.
fn added() -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let files = ADDED.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let files = files.map(|entry| entry.path()).take(MAX_FILES);
    files.filter_map(|file| certificates(&file)).flatten().collect()
}

fn certificates(file: &Path) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
    let is_small = fs::metadata(file).ok()?.len() <= MAX_FILE;
    let text = if is_small { fs::read(file).ok()? } else { return None };
    read_certificates(&text).ok()
}
