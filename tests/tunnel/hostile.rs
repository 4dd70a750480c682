//! An end whose key is known, and which breaks the rules: it is cut off, and costs the others nothing.

use std::net::SocketAddr;

use loopgate::address::Address;
use loopgate::transport::tunnel::carrier::{Broken, FrameLink, Received};
use loopgate::transport::tunnel::frame::{Frame, MAX_BODY, Reason};
use loopgate::transport::tunnel::identity::{Dialling, PrivateKey, dial_handshake};
use loopgate::transport::tunnel::message::{
    self, End, Hello, MAX_ROUTES, Message, Routes, Token, WantedRoute,
};
use loopgate::transport::{Origin, dial};
use tokio::time::timeout;

use crate::harness::{ClosedPort, Connection, TIMEOUT, Target, wait_until};
use crate::pair::{Pair, let_in, message};

/// What is sent on a connection, behind the handshake.
pub(crate) enum Sent {
    Json(Vec<u8>),
    Frame(Frame),
}

use Sent::{Frame as Bare, Json};

/// The other end, as a machine sees it whose key is known there.
pub(crate) struct Hostile {
    pub(crate) key: PrivateKey,
    pub(crate) vps: String,
    pub(crate) address: SocketAddr,
}

impl Hostile {
    /// A connection whose first words are these.
    pub(crate) async fn begin(&self, first: Sent) -> Result<FrameLink, String> {
        let stream =
            dial(&Address::Net(self.address), &Origin::default()).await.map_err(|e| e.to_string())?;
        let dialling = Dialling::new(&self.key, &[self.vps.parse().unwrap()]);
        let secured = dial_handshake(&stream, &dialling, "vps").await.map_err(|fault| fault.to_string())?;
        let mut link = FrameLink::new(stream, secured.records);
        say(&mut link, first).await.map_err(|broken| broken.to_string())?;
        Ok(link)
    }

    /// A control that is let in, and its number.
    pub(crate) async fn control(&self) -> Result<(FrameLink, Token), String> {
        let hello =
            Hello::Control { software: "hostile".to_owned(), instance: Token([7; 16]), features: Vec::new() };
        let mut link = self.begin(said(&Message::Hello(hello))).await?;
        let session = welcome(&mut link).await?;
        Ok((link, session))
    }

    /// A carrier that is let in, and its control.
    pub(crate) async fn carrier(&self, opener: End) -> Result<(FrameLink, FrameLink), String> {
        let (control, session) = self.control().await?;
        let mut link = self.begin(said(&Message::Hello(Hello::Carrier { session, opener }))).await?;
        welcome(&mut link).await?;
        Ok((link, control))
    }
}

pub(crate) fn said(message: &Message) -> Sent {
    Json(message::encode(message))
}

pub(crate) async fn say(link: &mut FrameLink, what: Sent) -> Result<(), Broken> {
    match what {
        Json(bytes) => link.queue_message(&bytes)?,
        Bare(frame) => link.queue(&frame)?,
    }
    link.flush().await
}

async fn welcome(link: &mut FrameLink) -> Result<Token, String> {
    match link.receive(MAX_BODY).await {
        Ok(Received::Message(json)) => match message::decode(&json) {
            Ok(Message::Welcome(welcome)) => Ok(welcome.session),
            other => Err(format!("no WELCOME: {other:?}")),
        },
        other => Err(format!("no WELCOME: {other:?}")),
    }
}

/// Whether the other end ends a connection on which this is said; what it says until then does not matter.
async fn is_ended_by(mut link: FrameLink, words: Vec<Sent>) -> bool {
    for what in words {
        if say(&mut link, what).await.is_err() {
            return true;
        }
    }
    let ended = async { while link.receive(MAX_BODY).await.is_ok() {} };
    timeout(TIMEOUT / 2, ended).await.is_ok()
}

/// What breaks the rules on a control.
fn on_a_control() -> Vec<(&'static str, Vec<Sent>)> {
    let json = |text: &str| Json(text.as_bytes().to_vec());
    let route =
        |n: usize| WantedRoute { name: format!("r{n}"), protocol: Default::default(), listen: Vec::new() };
    let routes = |count: usize| {
        let parts = message::routes(&(0..count).map(route).collect::<Vec<_>>());
        parts.iter().map(said).collect::<Vec<_>>()
    };
    let twice = Message::Routes(Routes { routes: vec![route(1), route(1)], more: false });
    vec![
        ("no JSON", vec![Json(vec![0xff; 10])]),
        ("a key that stands twice", vec![json(r#"{"type":"carry","ready":1,"ready":2}"#)]),
        (
            "a message that nests",
            vec![json(&format!(r#"{{"type":"x","x":{}{}}}"#, "[".repeat(64), "]".repeat(64)))],
        ),
        (
            "a second HELLO",
            vec![said(&Message::Hello(Hello::Probe { routes: Vec::new(), dials: Vec::new() }))],
        ),
        ("a message that is too long", vec![Json(vec![b' '; MAX_BODY])]),
        ("too many routes", routes(MAX_ROUTES + 1)),
        ("two routes of one name", vec![said(&twice)]),
        ("a name that no route has", vec![json(r#"{"type":"state","route":"a b","target":"up"}"#)]),
        ("a frame of a session", vec![Bare(Frame::End)]),
        ("too many messages", (0..300).map(|n| said(&Message::Carry { ready: n })).collect()),
    ]
}

/// What an opener breaks the rules with on a carrier without a session. (The carriers of which it is not the opener are looked
/// at when they are taken for a visitor.)
fn on_a_carrier() -> Vec<(&'static str, Sent)> {
    vec![
        ("a body without a session", Json(b"x".to_vec())),
        ("an OPEN that is none", Bare(Frame::Open(vec![0; 100]))),
        ("an END without a session", Bare(Frame::End)),
        ("a RESET without a session", Bare(Frame::Reset(Reason::Reset))),
        ("an OPENED of the opener", Bare(Frame::Opened)),
        ("a FAILED of the opener", Bare(Frame::Failed(b"{}".to_vec()))),
        ("a DONE of the opener", Bare(Frame::Done)),
        ("a PONG without a PING", Bare(Frame::Pong(1))),
    ]
}

#[test]
fn an_end_that_breaks_the_rules_is_cut_off_and_costs_the_others_nothing() {
    let (service, port, other) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");
    let key = PrivateKey::generate().unwrap();
    let may = format!("may_listen = [\"{}\"]", other.address);
    let known = let_in("hostile", &key.public().to_string(), &may);
    pair.permit(&format!("may_listen = [\"{}\"]", port.address), &known);
    let hostile = Hostile { key, vps: pair.keys.vps.clone(), address: pair.listener() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    wait_until("the key is known there", || runtime.block_on(hostile.control()).ok().map(drop));

    let mut wrong = Vec::new();
    runtime.block_on(async {
        for (what, words) in on_a_control() {
            let (link, _) = hostile.control().await.unwrap();
            if !is_ended_by(link, words).await {
                wrong.push(format!("on a control: {what}"));
            }
        }
        for (what, said) in on_a_carrier() {
            let (link, _control) = hostile.carrier(End::Dialling).await.unwrap();
            if !is_ended_by(link, vec![said]).await {
                wrong.push(format!("on a carrier: {what}"));
            }
        }
        for (what, first) in [
            ("a first frame that is no HELLO", Bare(Frame::Ping(1))),
            ("a first message that is no HELLO", said(&Message::Carry { ready: 1 })),
            (
                "a carrier of no control",
                said(&Message::Hello(Hello::Carrier { session: Token([9; 16]), opener: End::Dialling })),
            ),
        ] {
            let link = hostile.begin(first).await.unwrap();
            if !is_ended_by(link, Vec::new()).await {
                wrong.push(what.to_owned());
            }
        }
    });

    assert!(wrong.is_empty(), "it lives on: {wrong:#?}");
    Connection::to(visitors).expect_whole_echo(1, 10_000);
    assert_eq!((pair.home.times("vps", "up"), pair.home.times("vps", "down")), (1, 0));
    let panics: Vec<_> =
        pair.vps.lines().iter().filter(|line| message(line).contains("panic")).cloned().collect();
    assert!(panics.is_empty(), "{panics:#?}");
}

#[test]
fn whoever_has_a_key_cannot_fill_the_log_with_controls() {
    let mut pair = Pair::start("", "", "");
    let key = PrivateKey::generate().unwrap();
    let known = let_in("hostile", &key.public().to_string(), "");
    pair.permit("", &known);
    let hostile = Hostile { key, vps: pair.keys.vps.clone(), address: pair.listener() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    wait_until("the key is known there", || runtime.block_on(hostile.control()).ok().map(drop));
    let begun = std::time::Instant::now();

    let refused: Vec<_> = (0..100).filter_map(|_| runtime.block_on(hostile.control()).err()).collect();

    // 32 at once, then 2 a second.
    let most = 32 + 2 * (begun.elapsed().as_secs() as usize + 1);
    assert!(100 - refused.len() <= most, "{}", 100 - refused.len());
    assert!(refused.iter().all(|why| why.contains("Overload")), "{refused:?}");
    assert!(pair.vps.times("hostile", "up") <= most + 1);
    assert_eq!(pair.home.times("vps", "down"), 0);
}
