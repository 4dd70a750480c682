//! What the accepting end decides, between two ends in one process over loopback: who stays, who is let in, and what ends with
//! a key or a permission.

mod ends;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::transport::tunnel::carrier::{FrameLink, Received};
use crate::transport::tunnel::identity::{Dialling, PrivateKey, dial_handshake};
use crate::transport::tunnel::line::{Dialled, HandshakeFailed};
use crate::transport::tunnel::message::{self, Bye, ByeCode, Fate, Hello, MAX_LONG, Message, Token};
use crate::transport::{Origin, dial};
use ends::{End, Key, Keys, NEEDED, PATIENCE, echo, echoes, home, is_end, key, server, until, visitor, web};

/// Comes with a key, says HELLO, and returns what is answered.
async fn come(keys: &Keys, own: &Key, to: SocketAddr, hello: Hello) -> (FrameLink, Message) {
    let own = PrivateKey::read(Path::new(&own.path)).unwrap();
    let tls = Dialling::new(&own, &[keys.server.public.parse().unwrap()]);
    let stream = dial(&Address::Net(to), &Origin::default()).await.unwrap();
    let secured = dial_handshake(&stream, &tls, "localhost").await.unwrap();
    let mut link = FrameLink::new(stream, secured.records);
    link.queue_message(&message::encode(&Message::Hello(hello))).unwrap();
    let answer = heard(&mut link).await;
    (link, answer)
}

/// The next message; what asks whether this end lives is left without an answer.
async fn heard(link: &mut FrameLink) -> Message {
    loop {
        if let Received::Message(json) = timeout(PATIENCE, link.receive(MAX_LONG)).await.unwrap().unwrap() {
            return message::decode(&json).unwrap();
        }
    }
}

/// The next message that is a BYE.
async fn goodbye(link: &mut FrameLink) -> Bye {
    loop {
        if let Message::Bye(bye) = heard(link).await {
            return bye;
        }
    }
}

fn control(instance: u8) -> Hello {
    Hello::Control { software: "test".into(), instance: Token([instance; 16]), features: Vec::new() }
}

fn code(answer: &Message) -> ByeCode {
    let Message::Bye(bye) = answer else { panic!("{answer:?}") };
    bye.code
}

#[tokio::test]
async fn of_two_machines_with_one_key_the_first_stays_and_the_second_is_told_where_it_is() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let here = End::start(&home(&keys, listens, &web(service))).await;
    let at = there.listening().await;

    let (_second, answer) = come(&keys, &keys.home, listens, control(9)).await;

    assert_eq!(code(&answer), ByeCode::InUse);
    let Message::Bye(bye) = answer else { unreachable!() };
    assert!(bye.words.contains("127.0.0.1:") && bye.retry_ms == Some(30_000), "{bye:?}");
    assert!(echoes(&mut visitor(at).await).await);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_control_that_does_not_answer_is_taken_over_by_another_process_with_its_key() {
    let keys = Keys::make();
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    // It reads nothing more, and so answers nothing.
    let (_silent, answer) = come(&keys, &keys.home, listens, control(1)).await;
    assert!(matches!(answer, Message::Welcome(_)));

    let (_second, answer) = come(&keys, &keys.home, listens, control(2)).await;

    assert!(matches!(answer, Message::Welcome(_)), "{answer:?}");
    there.stop().await;
}

#[tokio::test]
async fn a_process_that_comes_again_replaces_its_own_control() {
    let keys = Keys::make();
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let (mut first, _) = come(&keys, &keys.home, listens, control(1)).await;

    let (_second, answer) = come(&keys, &keys.home, listens, control(1)).await;

    assert!(matches!(answer, Message::Welcome(_)), "{answer:?}");
    assert_eq!(goodbye(&mut first).await.code, ByeCode::Replaced);
    there.stop().await;
}

#[tokio::test]
async fn a_carrier_that_names_no_control_or_that_of_another_key_gets_one_answer() {
    let keys = Keys::make();
    let office = key(&keys.folder.path().join("office.key"));
    let more = format!("{NEEDED}[tunnels.office]\npublic_key = \"{}\"\n", office.public);
    let there = End::start(&server(&keys, &more)).await;
    let listens = there.listens.unwrap();
    let (_control, answer) = come(&keys, &keys.home, listens, control(1)).await;
    let Message::Welcome(welcome) = answer else { panic!("{answer:?}") };
    let carrier = |session| Hello::Carrier { session, opener: message::End::Dialling };

    let (_own, answer) = come(&keys, &keys.home, listens, carrier(welcome.session)).await;
    assert!(matches!(answer, Message::Welcome(_)), "{answer:?}");
    let (_unknown, unknown) = come(&keys, &keys.home, listens, carrier(Token([7; 16]))).await;
    let (_others, others) = come(&keys, &office, listens, carrier(welcome.session)).await;

    assert_eq!((code(&unknown), code(&others)), (ByeCode::NoSession, ByeCode::NoSession));
    assert_eq!(message::encode(&unknown), message::encode(&others));
    there.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_for_the_routes_it_names_once_a_second_and_replaces_nobody() {
    let keys = Keys::make();
    let more = format!(
        "may_dial = [\"10.0.0.5:5432\"]\n{NEEDED}[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"127.0.0.1:1\"\n"
    );
    let there = End::start(&server(&keys, &more)).await;
    let listens = there.listens.unwrap();
    let (mut first, _) = come(&keys, &keys.home, listens, control(1)).await;
    let routes: Vec<_> = serde_json::from_str(
        r#"[{"name":"web","protocol":"tcp","listen":["127.0.0.1:18080","0.0.0.0:80"]}]"#,
    )
    .unwrap();
    let dials: Vec<_> = serde_json::from_str(
        r#"[{"service":"own","protocol":"tcp"},{"service":"db","protocol":"tcp"},{"service":"db","protocol":"udp"},
            {"address":"10.0.0.5:5432","protocol":"tcp"},{"address":"10.0.0.5:22","protocol":"tcp"},
            {"address":"80-90","protocol":"tcp"}]"#,
    )
    .unwrap();
    let probe = || Hello::Probe { routes: Vec::clone(&routes), dials: Vec::clone(&dials) };

    let (mut link, answer) = come(&keys, &keys.home, listens, probe()).await;
    assert!(matches!(answer, Message::Welcome(_)), "{answer:?}");
    // It is told who else has its key, which is the control from before.
    let Message::SameKey(twin) = heard(&mut link).await else { panic!() };
    assert!(twin.from.starts_with("127.0.0.1:") && twin.since.starts_with("20"), "{twin:?}");
    // What is not offered to it is answered as what does not exist.
    let Message::DialsAre(answer) = heard(&mut link).await else { panic!() };
    let may: Vec<_> = answer.dials.iter().map(|it| it.may).collect();
    assert_eq!(may, [false, true, false, true, false, false]);
    let Message::RoutesAre(answer) = heard(&mut link).await else { panic!() };
    let fates: Vec<_> = answer.routes.iter().map(|it| matches!(it.fate, Fate::Listening { .. })).collect();
    assert_eq!(fates, [true, false]);
    assert_eq!(TcpStream::connect("127.0.0.1:18080").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    let (_again, answer) = come(&keys, &keys.home, listens, probe()).await;
    assert_eq!(code(&answer), ByeCode::Overload);
    // The control is still there: its own process replaces it, and is not told that it is in use.
    let (_second, answer) = come(&keys, &keys.home, listens, control(1)).await;
    assert!(matches!(answer, Message::Welcome(_)));
    assert_eq!(goodbye(&mut first).await.code, ByeCode::Replaced);
    there.stop().await;
}

#[tokio::test]
async fn a_key_that_is_taken_away_there_ends_its_sessions_and_closes_its_listeners() {
    let keys = Keys::make();
    let service = echo().await;
    let mut there = End::start(&server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &web(service))).await;
    let at = there.listening().await;
    let mut visitor = visitor(at).await;
    assert!(echoes(&mut visitor).await);
    let office = key(&keys.folder.path().join("office.key"));
    let text = server(&keys, NEEDED).replace(&keys.home.public, &office.public);

    there.reload(&text).await;

    let read = timeout(PATIENCE, visitor.read_u8()).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let record = there.record().await;
    assert!(is_end(&record, "revoked"), "{record}");
    there.until(|at| at.is_none()).await;
    assert!(TcpStream::connect(at).await.is_err());
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_session_to_an_address_ends_once_it_may_no_longer_be_dialled_and_others_do_not() {
    let keys = Keys::make();
    let (kept, lost) = (echo().await, echo().await);
    let text =
        |may: &str| server(&keys, NEEDED).replace("may_listen", &format!("may_dial = [{may}]\nmay_listen"));
    let mut there = End::start(&text(&format!("\"{kept}\", \"{lost}\""))).await;
    let route =
        |name: &str, to| format!("[routes.{name}]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/{to}\"\n");
    let routes = format!("{}{}", route("kept", kept), route("lost", lost));
    let here = End::start(&home(
        &keys,
        there.listens.unwrap(),
        &routes.replace("127.0.0.1:0\"", "127.0.0.1:0\"\nwait_for_target = \"20s\""),
    ))
    .await;
    let mut stays = visitor(here.routes["kept"]).await;
    let mut goes = visitor(here.routes["lost"]).await;
    assert!(echoes(&mut stays).await && echoes(&mut goes).await);

    there.reload(&text(&format!("\"{kept}\""))).await;

    let ended = timeout(PATIENCE, goes.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let record = there.record().await;
    assert!(is_end(&record, "revoked"), "{record}");
    assert!(echoes(&mut stays).await);
    assert!(!echoes(&mut visitor(here.routes["lost"]).await).await);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn silent_strangers_keep_no_machine_out_that_was_here_before() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(listens).await);
    }
    // Eight of them have a place, and each of the others is closed at once.
    let mut closed = 0;
    for stranger in &mut silent[8..] {
        // It may be closed before its client has seen that it was open.
        let Ok(stranger) = stranger else {
            closed += 1;
            continue;
        };
        let read = timeout(PATIENCE, stranger.read(&mut [0; 1])).await.unwrap();
        closed += usize::from(matches!(read, Ok(0) | Err(_)));
    }
    assert_eq!(closed, 32);
    drop(silent);

    let here = End::start(&home(&keys, listens, &web(service))).await;
    let at = there.listening().await;
    assert!(echoes(&mut visitor(at).await).await);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn what_a_tunnel_does_is_counted_at_both_ends() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let here = End::start(&home(&keys, listens, &web(service))).await;
    let mut guest = visitor(there.listening().await).await;
    assert!(echoes(&mut guest).await);
    let (vps, home) = (there.line("home"), here.line("vps"));
    let busy = || [&vps, &home].map(|line| line.numbers().carriers_busy.get());

    assert_eq!(busy(), [1, 1]);
    drop(guest);
    until(|| busy() == [0, 0]).await;
    // A control, and a carrier at least for the visitor and one ready beside it.
    until(|| home.numbers().dials(Dialled::Up).get() >= 3).await;
    until(|| [&vps, &home].iter().all(|line| line.numbers().carriers_opening.get() == 0)).await;
    assert_eq!(vps.numbers().dials(Dialled::Up).get(), 0, "it has dialled nobody");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn handshakes_of_strangers_are_counted_by_why_they_failed() {
    let keys = Keys::make();
    let stranger = key(&keys.folder.path().join("stranger.key"));
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let failed = |why| there.tunnels.handshakes().failed(why).get();
    let shake = async |own: &Key, expected: &Key| {
        let own = PrivateKey::read(Path::new(&own.path)).unwrap();
        let tls = Dialling::new(&own, &[expected.public.parse().unwrap()]);
        let stream = dial(&Address::Net(listens), &Origin::default()).await.unwrap();
        drop(dial_handshake(&stream, &tls, "localhost").await);
    };

    shake(&stranger, &keys.server).await;
    until(|| failed(HandshakeFailed::UnknownHere) == 1).await;
    shake(&keys.home, &keys.home).await;
    until(|| failed(HandshakeFailed::WrongKey) == 1).await;
    let mut browser = TcpStream::connect(listens).await.unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    until(|| failed(HandshakeFailed::NotLoopgate) == 1).await;
    let _silent = TcpStream::connect(listens).await.unwrap();
    until(|| failed(HandshakeFailed::TimedOut) == 1).await;
    drop(TcpStream::connect(listens).await.unwrap());
    until(|| failed(HandshakeFailed::Other) == 1).await;
    there.stop().await;
}
