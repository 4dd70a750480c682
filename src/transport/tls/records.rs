//! A connection whose handshake is over: records ⇄ plain bytes, in the caller's buffers.
//!
//! It touches no socket. Idle, it keeps neither plain bytes nor records, only the keys and the beginning of an
//! incomplete record.

use rustls::{Error, InvalidMessage};

use super::{Certificate, CloseNotify};
use crate::outcome::Agreed;
use crate::proxy_protocol::TlsFacts;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};

/// The largest overhead of a record beside its plain bytes: a header, and what TLS 1.2 or 1.3 adds (RFC 5246, 6.2.3;
/// RFC 8446, 5.2).
const OVERHEAD: usize = 64;

/// Plain bytes in a full record.
const RECORD: usize = 16 << 10;

/// The longest record on the wire (RFC 5246, 6.2.3).
pub(super) const LONGEST_RECORD: usize = 5 + RECORD + 2048;

/// Bytes of an incomplete handshake message that are kept: the largest message, in as many records as it takes.
pub const MAX_UNREAD: usize = 80 << 10;

/// The space needed to encrypt this many plain bytes, with some for a change of keys before them.
pub const fn sealed_room(plain: usize) -> usize {
    plain + (plain / RECORD + 2) * OVERHEAD
}

/// Our end of the handshake.
pub(super) enum Ours {
    /// The client connected to us.
    Server(Box<UnbufferedServerConnection>),
    /// We connected to the target.
    Client(Box<UnbufferedClientConnection>),
}

/// Applies the same to either.
macro_rules! either {
    ($ours:expr, $it:ident => $what:expr) => {
        match $ours {
            Ours::Server($it) => $what,
            Ours::Client($it) => $what,
        }
    };
}
pub(super) use either;

/// A connection after its handshake.
pub struct Sealed {
    ours: Ours,
    /// The beginning of an incomplete record.
    partial: Vec<u8>,
    /// Plain bytes that came with the end of the handshake, or with more than their reader had room for.
    early: Vec<u8>,
    /// What broke it; after its alert rustls must not be called again.
    broken: Option<Error>,
    /// The other end has sent close_notify: it sends no more.
    pub closed: bool,
    /// What it means that the other end closes without close_notify.
    pub close_notify: CloseNotify,
    /// The name that a client has asked for.
    pub(super) asked: Option<Box<str>>,
}

impl Sealed {
    pub(super) fn new(
        ours: Ours,
        partial: Vec<u8>,
        early: Vec<u8>,
        closed: bool,
        close_notify: CloseNotify,
    ) -> Sealed {
        Sealed { ours, partial, early, broken: None, closed, close_notify, asked: None }
    }

    /// What broke it, if anything has.
    pub fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Takes the kept beginning of a record; it precedes whatever is read next.
    pub fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// Whether the beginning of a record is kept.
    pub fn has_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Keeps the beginning of a record, or of a message in several of them; in an allocation of exactly that size.
    ///
    /// # Errors
    /// It is longer than [`MAX_UNREAD`].
    pub fn keep_partial(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > MAX_UNREAD {
            return Err(InvalidMessage::MessageTooLarge.into());
        }
        self.partial = bytes.to_vec();
        Ok(())
    }

    /// Puts back what [`Sealed::take_partial`] returned, with nothing read after it.
    pub fn put_back(&mut self, partial: Vec<u8>) {
        self.partial = partial;
    }

    /// Whether plain bytes that came with the end of the handshake are waiting.
    pub fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Plain bytes that came with the end of the handshake, before any other.
    pub fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// Keeps plain bytes that are to be taken before any other; there are none of before.
    pub fn put_early(&mut self, bytes: Vec<u8>) {
        self.early = bytes;
    }

    /// Decrypts every complete record in `wire`, in place; passes the plain bytes to `plain`, and appends to `answer`
    /// what has to be sent. Returns how many bytes of `wire` are used up.
    ///
    /// # Errors
    /// A record that cannot be decrypted, or an alert of the other end. `answer` may hold an alert of ours; what was
    /// decrypted before has gone to `plain`.
    pub fn open(
        &mut self,
        wire: &mut [u8],
        plain: &mut dyn FnMut(&[u8]),
        answer: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let mut used = 0;
        loop {
            let step =
                either!(&mut self.ours, it => step(it.process_tls_records(&mut wire[used..]), plain, answer));
            used += step.used;
            match step.came {
                Came::More => {}
                Came::Closed => self.closed = true,
                Came::Idle => return Ok(used),
                Came::Error(error) => {
                    let rest = &mut wire[used..];
                    either!(&mut self.ours, it => while add_last(it.process_tls_records(rest), answer) {});
                    return Err(self.broken.insert(error).clone());
                }
            }
        }
    }

    /// Encrypts `plain` in as few records as possible, into `wire`, which has [`sealed_room`] for them; returns how
    /// many bytes they take.
    ///
    /// # Errors
    /// The keys are used up (TLS 1.2 only; after 2^24 records) or the connection is broken.
    pub fn seal(&mut self, plain: &[u8], wire: &mut [u8]) -> Result<usize, Error> {
        self.write(wire, |traffic, room| traffic.encrypt(plain, room))
    }

    /// Writes a close_notify, which ends our direction, into `wire`, which has room for one record; returns its length.
    ///
    /// # Errors
    /// The connection is broken, so that nothing can be sent.
    pub fn seal_end(&mut self, wire: &mut [u8]) -> Result<usize, Error> {
        self.write(wire, |traffic, room| traffic.queue_close_notify(room))
    }

    fn write(
        &mut self,
        wire: &mut [u8],
        what: impl FnOnce(&mut dyn Traffic, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<usize, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let (mut written, closed) = (0, &mut self.closed);
        // The kept bytes are passed as what was read: rustls remembers how far an incomplete message reaches into it,
        // and fails with a buffer that lacks it.
        let kept = &mut self.partial;
        either!(&mut self.ours, it => loop {
            match it.process_tls_records(kept).state? {
                // A pending change of keys precedes the bytes.
                ConnectionState::EncodeTlsData(mut data) => {
                    written += data.encode(&mut wire[written..]).map_err(|_| Error::EncryptError)?;
                }
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => *closed = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    let sealed = what(&mut traffic, &mut wire[written..]).map_err(|_| Error::EncryptError)?;
                    return Ok(written + sealed);
                }
                _ => return Err(Error::EncryptError),
            }
        })
    }

    /// What a PROXY header says of a client's connection; of its certificate's name only if an authority vouched for it:
    /// who has nothing but a key may have any name written into a certificate.
    pub fn facts(&self, is_vouched_for: bool) -> TlsFacts {
        let name = |it| Certificate::read(it).filter(|_| is_vouched_for).map(|it| it.common_name);
        let Agreed { version, cipher, resumed, .. } = self.agreed();
        let shown = either!(&self.ours, it => it.peer_certificates()).and_then(<[_]>::first);
        TlsFacts {
            version,
            cipher,
            alpn: either!(&self.ours, it => it.alpn_protocol()).map(<[u8]>::to_vec),
            authority: self.asked.as_deref().map(str::to_owned),
            resumed,
            common_name: shown.map(|it| name(it).unwrap_or_default()),
        }
    }

    /// What was negotiated.
    pub fn agreed(&self) -> Agreed {
        either!(&self.ours, it => Agreed {
            // rustls' own names have no dot, and mark the ciphers of TLS 1.3 by a prefix.
            version: it.protocol_version().and_then(|it| it.as_str()).unwrap_or_default().replace('_', "."),
            cipher: it
                .negotiated_cipher_suite()
                .and_then(|it| it.suite().as_str())
                .unwrap_or_default()
                .replace("TLS13_", "TLS_"),
            group: it.negotiated_key_exchange_group().and_then(|it| it.name().as_str()),
            alpn: it.alpn_protocol().map(|name| String::from_utf8_lossy(name).into()),
            resumed: it.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        })
    }
}

/// The result of one call of rustls.
pub(super) struct Step {
    pub(super) used: usize,
    pub(super) came: Came,
}

pub(super) enum Came {
    /// There may be more in the input.
    More,
    /// close_notify.
    Closed,
    /// No complete record is left in the input.
    Idle,
    Error(Error),
}

/// Handles the result of one call: plain bytes go to `plain`, what is to be sent to `answer`.
pub(super) fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plain: &mut dyn FnMut(&[u8]),
    answer: &mut Vec<u8>,
) -> Step {
    let mut used = status.discard;
    let came = match status.state {
        Err(error) => Came::Error(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut came = Came::More;
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        plain(record.payload);
                        used += record.discard;
                    }
                    Err(error) => came = Came::Error(error),
                }
            }
            came
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(|room| data.encode(room), answer);
            Came::More
        }
        // The caller sends it; rustls only needs to know that it will be sent.
        Ok(ConnectionState::TransmitTlsData(sent)) => {
            sent.done();
            Came::More
        }
        Ok(ConnectionState::PeerClosed) => Came::Closed,
        // Early data is not enabled, so none arrives.
        Ok(_) => Came::Idle,
    };
    Step { used, came }
}

/// After an error, appends one record that is still to be sent, if there is one: its alert, or one before that. An accepting
/// end that refuses what a hello offers has the beginning of its answer there, and the alert cannot be read without it.
///
/// Returns whether there may be another. Behind an alert there is none, and rustls must not be asked: it would meet the
/// same error in the input again, and is not made for a second alert.
pub(super) fn add_last<Data>(asked: UnbufferedStatus<'_, '_, Data>, answer: &mut Vec<u8>) -> bool {
    let Ok(ConnectionState::EncodeTlsData(mut data)) = asked.state else { return false };
    let before = answer.len();
    encode(|room| data.encode(room), answer);
    !is_alert(&answer[before..])
}

/// Whether the record is an alert (RFC 8446, sections 5.1, 5.2 and 6). Encrypted, it shows as application data, and by its
/// length: two bytes, one for their kind and 16 for the tag of any of the ciphers. No message of a handshake is as short.
fn is_alert(record: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const APPLICATION_DATA: u8 = 23;
    match record.first() {
        Some(&APPLICATION_DATA) => record.len() == 5 + 2 + 1 + 16,
        first => first == Some(&ALERT),
    }
}

fn encode(mut data: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>, wire: &mut Vec<u8>) {
    let mut room = OVERHEAD;
    loop {
        let filled = wire.len();
        wire.resize(filled + room, 0);
        let written = data(&mut wire[filled..]);
        wire.truncate(filled + written.as_ref().copied().unwrap_or(0));
        match written {
            Err(EncodeError::InsufficientSize(wanted)) => room = wanted.required_size,
            _ => return,
        }
    }
}

/// Encrypts, whichever end is ours.
trait Traffic {
    fn encrypt(&mut self, plain: &[u8], room: &mut [u8]) -> Result<usize, EncryptError>;
    fn queue_close_notify(&mut self, room: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<Data> Traffic for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, plain: &[u8], room: &mut [u8]) -> Result<usize, EncryptError> {
        WriteTraffic::encrypt(self, plain, room)
    }

    fn queue_close_notify(&mut self, room: &mut [u8]) -> Result<usize, EncryptError> {
        WriteTraffic::queue_close_notify(self, room)
    }
}
