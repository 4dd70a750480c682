//! Long connections: their keys change before they are used up (RFC 8446, section 5.5), and an end that changes them all
//! the time is cut.

use std::io::{Read, Write};
use std::thread;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::ServerName;
use rustls::{CipherSuiteCommon, ClientConnection, SupportedCipherSuite, Tls13CipherSuite};

use super::*;
use crate::transport::tls::sealed_room;

/// Records under one key.
const LIMIT: u64 = 5;

/// A provider whose only cipher is used up after [`LIMIT`] records instead of 2^24.
fn short_lived(provider: &CryptoProvider) -> Arc<CryptoProvider> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    let common = CipherSuiteCommon { confidentiality_limit: LIMIT, ..*suite_common(suite) };
    let suite = Tls13CipherSuite { common, quic: None, ..*suite };
    let suite: &'static Tls13CipherSuite = Box::leak(Box::new(suite));
    Arc::new(CryptoProvider { cipher_suites: vec![SupportedCipherSuite::Tls13(suite)], ..provider.clone() })
}

fn suite_common(suite: &Tls13CipherSuite) -> &CipherSuiteCommon {
    &suite.common
}

#[test]
fn keys_change_before_they_are_used_up_and_no_byte_is_lost() {
    let Ends { mut dialling, mut accepting, .. } = ends();
    dialling.provider = short_lived(&dialling.provider);
    accepting.provider = short_lived(&accepting.provider);
    let ((_, one), (_, other)) = run(secured(&dialling, &accepting));
    let (mut one, mut other) = (one.records, other.records);
    let mut room = vec![0; sealed_room(100_000)];

    let (mut changes, mut answers) = (0, 0);
    for n in 0..200_u8 {
        // Each end in turn; now and then a text of several records.
        let text = vec![n; if n % 7 == 0 { 100_000 } else { 10 }];
        let length = one.seal(&text, &mut room).unwrap();
        let (mut plain, mut answer) = (Vec::new(), Vec::new());
        let used =
            other.open(&mut room[..length], &mut |it| plain.extend_from_slice(it), &mut answer).unwrap();
        assert_eq!((used, plain), (length, text), "{n}");
        // A record has 22 bytes beside its text; a change of keys is a record of its own.
        changes += usize::from(length > 10 + 22 && n % 7 != 0);
        answers += usize::from(!answer.is_empty());
        if !answer.is_empty() {
            one.open(&mut answer, &mut |_| panic!("no text"), &mut Vec::new()).unwrap();
        }
        std::mem::swap(&mut one, &mut other);
    }
    assert!(changes + answers > 20, "{changes} changes were sent, {answers} answered at once");
}

/// What our end says of a client that says nothing but that its keys change, so many times.
fn after_changes(changes: usize, with_text: bool) -> Result<Vec<u8>, Error> {
    let Ends { dialling, accepting, .. } = ends();
    let (config, _) = dialling.config().unwrap();
    run(async {
        let (ours, mut theirs) = pair_with_thread();
        let (shaken, is_shaken) = std::sync::mpsc::channel();
        let client = thread::spawn(move || {
            let mut client = ClientConnection::new(config, ServerName::try_from("vps").unwrap()).unwrap();
            client.complete_io(&mut theirs).unwrap();
            is_shaken.recv().unwrap();
            for _ in 0..changes {
                client.refresh_traffic_keys().unwrap();
                if with_text {
                    client.writer().write_all(b".").unwrap();
                }
                while client.wants_write() {
                    client.write_tls(&mut theirs).unwrap();
                }
            }
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = theirs.read_to_end(&mut Vec::new());
        });
        let mut records = accept_handshake(&ours, &accepting).await.unwrap().records;
        shaken.send(()).unwrap();
        let read = read_to_end(&ours, &mut records).await;
        drop(ours);
        client.join().unwrap();
        read
    })
}

#[test]
fn an_end_that_does_nothing_but_change_keys_is_cut() {
    assert_eq!(after_changes(32, false), Ok(vec![]));

    let flooded = after_changes(33, false).unwrap_err();
    assert_eq!(flooded, rustls::PeerMisbehaved::TooManyKeyUpdateRequests.into());

    assert_eq!(after_changes(100, true).map(|text| text.len()), Ok(100), "each with something to say");
}
