//! Two ends of a secured connection, for tests: TLS 1.3 over TCP on loopback, with an ordinary certificate.

use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use super::{FrameLink, prepare};
use crate::transport::tls::{
    CloseNotify, MaxVersion, MinVersion, TlsOrigination, TlsOriginationParts, TlsTermination,
    TlsTerminationParts, Trust, answer, greet, hello, read_pair,
};
use crate::transport::{Arrived, Congestion, Stream};

static TLS: LazyLock<(TlsOrigination, TlsTermination)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pair = read_pair(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let dials = TlsOriginationParts {
        name: None,
        sni: None,
        common_name: false,
        trust: Trust::Any,
        pins: Vec::new(),
        pair: None,
        alpn: Vec::new(),
        min_version: MinVersion::Tls13,
        max_version: MaxVersion::Tls13,
        handshake_timeout: Duration::from_secs(10),
        session_tickets: false,
        close_notify: CloseNotify::Optional,
    };
    let accepts = TlsTerminationParts {
        pairs: vec![pair],
        who: None,
        alpn: Vec::new(),
        min_version: MinVersion::Tls13,
        max_version: MaxVersion::Tls13,
        handshake_timeout: Duration::from_secs(10),
        session_tickets: false,
        close_notify: CloseNotify::Optional,
    };
    (TlsOrigination::new(dials).unwrap(), TlsTermination::new(accepts).unwrap())
});

fn stream(socket: TcpStream) -> Stream {
    socket.set_nonblocking(true).unwrap();
    prepare(&socket, &Congestion::default()).unwrap();
    Arrived::Tcp(socket.into()).open().unwrap()
}

/// Both ends of a plain connection.
pub(crate) fn plain() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    ours.set_nodelay(true).unwrap();
    (Arrived::Tcp(ours.into()).open().unwrap(), theirs)
}

/// The dialling and the accepting end of a secured connection.
pub(crate) async fn links() -> (FrameLink, FrameLink) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialled = stream(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let accepted = stream(listener.accept().unwrap().0);
    let (dials, accepts) = &*TLS;
    let accepting = async {
        let hello = hello(&accepted).await.unwrap();
        answer(accepts, hello).unwrap().finish(&accepted).await.unwrap()
    };
    let (ours, theirs) = tokio::join!(greet(&dialled, dials, None), accepting);
    (FrameLink::new(dialled, Box::new(ours.unwrap())), FrameLink::new(accepted, Box::new(theirs)))
}

/// A fact that is to become true, of what only the kernel knows.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
