//! Two Loopgates.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;

use super::*;
use crate::client_hello::{Reader, Seen};
use crate::transport::tls::{CloseNotify, hello, shake_as_client, shake_as_server};

#[test]
fn two_ends_that_know_each_other_prove_their_keys_and_resume_nothing() {
    let ends = ends();
    for _again in 0..2 {
        run(async {
            let ((a, dialled), (_, accepted)) = secured(&ends.dialling, &ends.accepting).await;

            assert_eq!(dialled.key, ends.acceptor.public());
            assert_eq!(accepted.key, ends.dialler.public());
            let agreed = dialled.records.agreed();
            assert_eq!((&*agreed.version, &*agreed.cipher), ("TLSv1.3", "TLS_AES_128_GCM_SHA256"));
            assert_eq!((agreed.group, agreed.alpn.as_deref()), (Some("X25519MLKEM768"), Some("loopgate/1")));
            assert!(!agreed.resumed && !accepted.records.agreed().resumed);
            assert!(!a.has_unread(), "no ticket comes behind the handshake");
        });
    }
}

#[test]
fn a_key_that_the_accepting_end_does_not_know_is_told_to_both_ends() {
    let Ends { acceptor, .. } = ends();
    let (known, stranger) = (new_key(), new_key());
    let accepting = Accepting::new(&acceptor, knowing(&[&known]));

    let (dialled, accepted) = faults(&Dialling::new(&stranger, &[acceptor.public()]), &accepting);

    assert!(matches!(dialled, HandshakeFault::UnknownThere), "{dialled}");
    assert!(matches!(accepted, HandshakeFault::UnknownHere(key) if key == stranger.public()), "{accepted}");
}

#[test]
fn another_key_at_the_accepting_end_is_named_and_refused() {
    let Ends { dialler, acceptor, accepting, .. } = ends();

    let (dialled, accepted) = faults(&Dialling::new(&dialler, &[new_key().public()]), &accepting);

    assert!(matches!(dialled, HandshakeFault::WrongKey(key) if key == acceptor.public()), "{dialled}");
    assert!(matches!(accepted, HandshakeFault::WrongKeyThere), "{accepted}");
}

#[test]
fn both_keys_are_good_while_one_is_being_changed() {
    let Ends { dialler, acceptor, .. } = ends();
    let (old, new) = (new_key(), new_key());
    let dialling = Dialling::new(&dialler, &[old.public(), new.public()]);
    for key in [&old, &new, &acceptor] {
        let accepting = Accepting::new(key, knowing(&[&dialler]));
        let (dialled, _) = run(async {
            let (a, b) = pair();
            tokio::join!(dial_handshake(&a, &dialling, "vps"), accept_handshake(&b, &accepting))
        });
        assert_eq!(dialled.is_ok(), key.public() != acceptor.public());
    }
}

#[test]
fn the_name_that_is_dialled_is_sent_and_an_address_is_not() {
    let Ends { dialling, .. } = ends();
    for (host, sent) in [("vps.example.com", Some("vps.example.com")), ("192.0.2.1", None), ("no name", None)]
    {
        let asked = run(async {
            let (a, b) = pair();
            tokio::select! {
                _ = dial_handshake(&a, &dialling, host) => panic!("nobody answers"),
                hello = hello(&b) => hello.ok().unwrap(),
            }
        });
        let mut reader = Reader::default();
        let Seen::Hello(asked) = reader.read(asked.bytes()) else { panic!("no hello") };
        assert_eq!(asked.server_name(), sent.map(str::as_bytes), "{host}");
        assert_eq!(asked.protocols().collect::<Vec<_>>(), [b"loopgate/1"]);
    }
}

/// A clock that stands still, so many seconds after 1970.
#[derive(Debug)]
struct Stands(u64);

impl TimeProvider for Stands {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

#[test]
fn clocks_that_are_decades_apart_change_nothing() {
    let Ends { dialling, accepting, .. } = ends();
    let (client, verifier) = dialling.config().unwrap();
    let mut client = (*client).clone();
    client.time_provider = Arc::new(Stands(0));
    let mut server = (*accepting.config().unwrap().0).clone();
    server.time_provider = Arc::new(Stands(8_000_000_000));
    let name = ServerName::try_from("vps").unwrap();

    let (dialled, accepted) = run(async {
        let (a, b) = pair();
        let accepted = async {
            let hello = hello(&b).await.ok().unwrap();
            shake_as_server(&b, Arc::new(server), hello, CloseNotify::Optional).await
        };
        tokio::join!(shake_as_client(&a, Arc::new(client), name, CloseNotify::Optional), accepted)
    });

    assert!(dialled.is_ok() && accepted.is_ok() && verifier.proven().is_some());
}
