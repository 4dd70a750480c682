//! TLS at the two outer ends: a certificate authority, a client and a target. They use another rustls interface than
//! the program, so that one does not hide the faults of the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{Close, Connection, TIMEOUT, Target, pattern};

/// A certificate authority that keeps its certificates in its own temporary directory, its own certificate as `ca.pem`.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::called("the tests' authority")
    }

    pub(crate) fn called(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `NAME.pem` and `NAME.key` for these names, which may be addresses and URIs.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) {
        self.issue_for(file, names, |_| {});
    }

    /// The same, with changed parameters.
    pub(crate) fn issue_for(&self, file: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) if name.contains("://") => SanType::URI((*name).try_into().unwrap()),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    /// A client configuration that trusts only this authority and presents the certificate `own`, if given.
    pub(crate) fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        self.client_of(own, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    pub(crate) fn client_of(
        &self,
        own: Option<&str>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let (chain, key) = self.pair(own);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }

    /// A server configuration with the certificate `own`; with `asks` it requests a client certificate.
    pub(crate) fn server(&self, own: &str, asks: bool) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks {
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = self.pair(own);
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    fn pair(&self, own: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_file_iter(self.file(&format!("{own}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{own}.key"))).unwrap();
        (chain.map(Result::unwrap).collect(), key)
    }

    /// The content of `tls = {…}` with the certificate `own`.
    pub(crate) fn tls(&self, own: &str) -> String {
        let file = |name: String| self.file(&name).display().to_string();
        format!("certificate = '{}', key = '{}'", file(format!("{own}.pem")), file(format!("{own}.key")))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The client's end of a secured connection.
pub(crate) struct TlsConnection {
    pub(crate) tls: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsConnection {
    /// Connects and speaks TLS to `localhost` from the first byte on.
    pub(crate) fn to(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsConnection {
        TlsConnection::naming("localhost", address, config)
    }

    pub(crate) fn naming(name: &str, address: SocketAddr, config: &Arc<ClientConfig>) -> TlsConnection {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(config.clone(), name).unwrap();
        TlsConnection { tls: StreamOwned::new(connection, stream) }
    }

    /// Finishes the handshake, or returns its error.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        while self.tls.conn.is_handshaking() {
            self.tls.conn.complete_io(&mut self.tls.sock)?;
        }
        Ok(())
    }

    /// Sends the ClientHello and nothing more.
    pub(crate) fn send_hello(&mut self) {
        while self.tls.conn.wants_write() {
            self.tls.conn.write_tls(&mut self.tls.sock).unwrap();
        }
    }

    /// Sends the bytes in one segment with the last message of the handshake.
    pub(crate) fn send_with_the_handshake(&mut self, bytes: &[u8]) {
        self.tls.conn.writer().write_all(bytes).unwrap();
        self.handshake().unwrap();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.tls.write_all(bytes).unwrap();
        self.tls.flush().unwrap();
    }

    pub(crate) fn send_stream(&mut self, seed: u64, length: usize) {
        let mut sent = 0;
        while sent < length {
            let piece = pattern::at(seed, sent, pattern::MOST.min(length - sent));
            self.send(piece);
            sent += piece.len();
        }
    }

    pub(crate) fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut received = vec![0; length];
        self.tls.read_exact(&mut received).unwrap();
        received
    }

    pub(crate) fn receive_stream(&mut self, seed: u64, length: usize) {
        let mut received = 0;
        while received < length {
            let piece = self.receive((64 << 10).min(length - received));
            assert!(
                piece[..] == *pattern::at(seed, received, piece.len()),
                "stream {seed} is wrong after {received}"
            );
            received += piece.len();
        }
    }

    /// Reads to the end; only close_notify counts as `Fin`.
    pub(crate) fn receive_all(&mut self) -> (Vec<u8>, Close) {
        let mut received = Vec::new();
        // rustls reports a FIN without close_notify as an error, like a reset.
        let ending = self.tls.read_to_end(&mut received).map_or(Close::Reset, |_| Close::Fin);
        (received, ending)
    }

    /// Reads to a FIN that no close_notify precedes.
    pub(crate) fn receive_until_cut(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        let error = self.tls.read_to_end(&mut received).expect_err("it is cut");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
        received
    }

    /// Sends close_notify and FIN; the other direction stays open.
    pub(crate) fn finish(&mut self) {
        self.tls.conn.send_close_notify();
        self.tls.flush().unwrap();
        self.tls.sock.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends FIN without close_notify.
    pub(crate) fn cut(&mut self) {
        self.tls.sock.shutdown(Shutdown::Write).unwrap();
    }
}

/// The target's end of a secured connection; the first read or write performs the handshake.
pub(crate) type TlsServed = StreamOwned<ServerConnection, TcpStream>;

/// A stream within this process, whose reads and writes wait.
pub(crate) struct Blocking(pub(crate) DuplexStream);

fn wait<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(TIMEOUT, work).await? })
}

impl Read for Blocking {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        wait(self.0.read(room))
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A target that speaks TLS; `serve` handles each connection in its own thread.
pub(crate) fn tls_target(
    config: Arc<ServerConfig>,
    serve: impl Fn(TlsServed) + Clone + Send + 'static,
) -> Target {
    Target::serving_anywhere(move |connection: Connection| serve(tls_served(&connection, &config)))
}

/// Starts TLS on a target's connection.
pub(crate) fn tls_served(connection: &Connection, config: &Arc<ServerConfig>) -> TlsServed {
    let server = ServerConnection::new(config.clone()).unwrap();
    StreamOwned::new(server, connection.stream().try_clone().unwrap())
}

/// A target that speaks TLS, echoes what it receives and answers close_notify with close_notify.
pub(crate) fn tls_echo(config: Arc<ServerConfig>) -> Target {
    tls_target(config, echo)
}

/// Echoes what it receives and answers close_notify with close_notify.
pub(crate) fn echo(mut tls: TlsServed) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = tls.read(&mut buffer) {
        if tls.write_all(&buffer[..n]).and_then(|()| tls.flush()).is_err() {
            return;
        }
    }
    tls.conn.send_close_notify();
    let _ = tls.flush();
}
