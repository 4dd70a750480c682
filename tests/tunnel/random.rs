//! An end whose key is known, and which says whatever a machine can say, legal or not, in any order: as the dialling end and
//! as the accepting one. What it is not permitted never happens, what it holds is bounded, and the others notice nothing.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use loopgate::address::Protocol;
use loopgate::transport::Stream;
use loopgate::transport::tunnel::carrier::{FrameLink, Received};
use loopgate::transport::tunnel::frame::{CloseCode, Frame, MAX_BODY, Reason};
use loopgate::transport::tunnel::identity::{Accepting, Known, PrivateKey, PublicKey, accept_handshake};
use loopgate::transport::tunnel::message::{
    self, Bye, ByeCode, End, Fate, Hello, Message, RefusedCode, RouteIs, Routes, RoutesAre, State, Token,
    WantedRoute, Welcome,
};
use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::hostile::{Hostile, Sent, said, say};
use crate::pair::{Pair, let_in, message};

/// How long it goes on; longer where somebody looks for more.
fn duration() -> Duration {
    let seconds = std::env::var("HOSTILE_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Numbers that look random, the same for each seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len() as u64) as usize]
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.throw(most) + 1;
        (0..length).map(|_| self.throw(256) as u8).collect()
    }
}

/// Where it wants us to listen and what it wants us to dial: nothing of it is permitted.
struct Wishes {
    listen: String,
    dial: SocketAddr,
}

/// Any frame or message.
fn anything(dice: &mut Dice, wishes: &Wishes) -> Sent {
    let number = dice.throw(4) as u32;
    match dice.throw(24) {
        0 => Sent::Frame(Frame::End),
        1 => Sent::Frame(Frame::Reset(dice.one(&[Reason::Reset, Reason::Revoked, Reason::NoTarget]))),
        2 => Sent::Frame(Frame::Open(dice.bytes(200))),
        3 => Sent::Frame(Frame::Opened),
        4 => Sent::Frame(Frame::Failed(dice.one(&[&b"{}"[..], b"{\"cause\":\"refused\"}", b"x"]).to_vec())),
        5 => Sent::Frame(Frame::Ping(number)),
        6 => Sent::Frame(Frame::Pong(number)),
        7 => Sent::Frame(Frame::Done),
        8 => Sent::Frame(Frame::Close(dice.one(&[CloseCode::Surplus, CloseCode::Revoked]))),
        9 => Sent::Json(dice.bytes(40_000)),
        10 => {
            let ready = dice.throw(70_000) as u16;
            said(&Message::Carry { ready })
        }
        11..=13 => said(&routes(dice, wishes)),
        14 => {
            let is = |n: u64| RouteIs {
                name: format!("web{n}"),
                asked: Some(EVIL.to_owned()),
                fate: Fate::Refused { code: RefusedCode::Taken },
            };
            said(&Message::RoutesAre(RoutesAre { routes: vec![is(0), is(1)], more: number == 0 }))
        }
        15 => {
            let route = dice.one(&["web", "db", "r1"]).to_owned();
            said(&Message::State(State { route, up: number == 0, cause: Some("refused".into()) }))
        }
        16 => Sent::Json(format!("{{\"type\":\"{EVIL_JSON}\",\"x\":1}}").into_bytes()),
        17 => {
            Sent::Json(format!("{{\"type\":\"state\",\"route\":\"{EVIL_JSON}\",\"target\":\"up\"}}").into())
        }
        18 => said(&Message::Hello(hello(dice))),
        19 => said(&Message::Bye(Bye { code: ByeCode::Other, words: EVIL.into(), retry_ms: Some(0) })),
        20 => open(&format!("{}", wishes.dial), true),
        21 => open(dice.one(&["web", "admin", "tunnel", "none"]), false),
        22 => open("web", false),
        _ => said(&Message::Welcome(welcome(Token([number as u8; 16])))),
    }
}

/// What would forge a line of a log, or paint the terminal of its reader.
const EVIL: &str = "\u{1b}[2J\nforged=line\r\u{202e}";
const EVIL_JSON: &str = "\\u001b[2J\\nforged=line\\r\\u202e";

fn hello(dice: &mut Dice) -> Hello {
    let session = Token([dice.throw(256) as u8; 16]);
    match dice.throw(3) {
        0 => Hello::Carrier { session, opener: dice.one(&[End::Dialling, End::Accepting]) },
        1 => Hello::Probe { routes: vec![wanted("probe", &["0", "1-65535"])], dials: Vec::new() },
        _ => Hello::Control { software: EVIL.into(), instance: session, features: vec![EVIL.into()] },
    }
}

fn wanted(name: &str, listen: &[&str]) -> WantedRoute {
    let listen = listen.iter().map(|it| (*it).to_owned()).collect();
    WantedRoute { name: name.to_owned(), protocol: Protocol::Tcp, listen }
}

fn routes(dice: &mut Dice, wishes: &Wishes) -> Message {
    let listen = [&wishes.listen, "0.0.0.0:0", "1-65535", "unix:/tmp/x.sock", EVIL];
    let count = dice.one(&[0, 1, 3, 60]);
    let each: Vec<&str> = (0..dice.throw(64)).map(|_| dice.one(&listen)).collect();
    let routes = (0..count).map(|n| wanted(&format!("r{n}"), &each)).collect();
    Message::Routes(Routes { routes, more: dice.throw(4) == 0 && count > 0 })
}

/// The content of OPEN, with a visitor that nobody is.
fn open(to: &str, is_address: bool) -> Sent {
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x7f\0\0\x01\x12\x34\0\x50";
    let kind = 1 + u8::from(is_address);
    let head = [&[7; 10][..], &[kind, to.len() as u8], to.as_bytes(), &[0], &1_u64.to_be_bytes()].concat();
    Sent::Frame(Frame::Open([&head[..], header].concat()))
}

fn welcome(session: Token) -> Welcome {
    Welcome { session, time: EVIL.into(), name: "home".into(), you: EVIL.into(), ping_s: 1, datagrams: None }
}

/// Says things until the other end has had enough, or this one; reads what comes meanwhile.
async fn talk(mut link: FrameLink, dice: &mut Dice, wishes: &Wishes) {
    for _ in 0..dice.throw(40) + 1 {
        if say(&mut link, anything(dice, wishes)).await.is_err() {
            return;
        }
        if dice.throw(3) == 0 {
            // It reads now and then, and never waits for long.
            let _ = timeout(Duration::from_millis(2), link.receive(MAX_BODY)).await;
        }
    }
}

/// Memory that a process may take while it is lied to, in bytes: all that its limits allow, and far less than a leak.
const MOST: usize = 60 << 20;

fn is_clean(lines: &[serde_json::Value]) {
    for line in lines {
        let text = message(line);
        assert!(!text.contains("panic"), "{line}");
        // The lines to add are ours, each on its own.
        let text = text.split(" add:\n").next().unwrap_or_default();
        assert!(!text.contains(['\u{1b}', '\n', '\r', '\u{202e}']), "not escaped: {line}");
    }
}

#[test]
fn a_known_dialling_end_that_says_anything_harms_nobody_else() {
    let (service, port, never) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let forbidden = TcpListener::bind("127.0.0.1:0").unwrap();
    forbidden.set_nonblocking(true).unwrap();
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");
    let key = PrivateKey::generate().unwrap();
    let known = let_in(
        "hostile",
        &key.public().to_string(),
        "may_listen = [\"127.0.0.1:40000-40999\"]\nmax_listeners = 4",
    );
    let offered = format!("[routes.web]\nlisten = \"tunnel:hostile\"\ntarget = \"{}\"\n", service.address);
    pair.permit(&format!("may_listen = [\"{}\"]", port.address), &format!("{known}{offered}"));
    let hostile = Hostile { key, vps: pair.keys.vps.clone(), address: pair.listener() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    wait_until("the key is known there", || runtime.block_on(hostile.control()).ok().map(drop));
    let descriptors = pair.vps.program.descriptors();
    let wishes = Wishes { listen: never.address.to_string(), dial: forbidden.local_addr().unwrap() };

    let (end, mut dice, mut most, mut talks) = (Instant::now() + duration(), Dice(7), 0, 0);
    while Instant::now() < end {
        runtime.block_on(async {
            talks += 1;
            match dice.throw(4) {
                0 => {
                    let first = anything(&mut dice, &wishes);
                    if let Ok(link) = hostile.begin(first).await {
                        talk(link, &mut dice, &wishes).await;
                    }
                }
                1 => {
                    if let Ok((link, _)) = hostile.control().await {
                        talk(link, &mut dice, &wishes).await;
                    }
                }
                _ => {
                    let opener = dice.one(&[End::Dialling, End::Accepting]);
                    if let Ok((link, control)) = hostile.carrier(opener).await {
                        talk(link, &mut dice, &wishes).await;
                        talk(control, &mut dice, &wishes).await;
                    }
                }
            }
        });
        // Now and then: each of many at once would have a carrier kept ready.
        if talks % 20 == 1 {
            Connection::to(visitors).expect_whole_echo(talks, 1_000);
        }
        most = most.max(pair.vps.program.anonymous_memory());
    }

    println!("{talks} talks, at most {most} bytes");
    assert!(most < MOST, "{most} bytes");
    assert!(forbidden.accept().is_err(), "what may not be dialled was dialled");
    assert!(std::net::TcpStream::connect(never.address).is_err(), "what may not be listened on is");
    assert_eq!((pair.home.times("vps", "up"), pair.home.times("vps", "down")), (1, 0));
    is_clean(pair.vps.lines());
    wait_until("its descriptors are given back", || {
        (pair.vps.program.descriptors() <= descriptors + 16).then_some(())
    });
}

/// Knows everybody.
#[derive(Debug)]
struct Everybody;

impl Known for Everybody {
    fn knows(&self, _: &PublicKey) -> bool {
        true
    }
}

/// The other end, as a server that was taken over.
struct Server {
    listener: tokio::net::TcpListener,
    tls: Accepting,
}

impl Server {
    /// The next connection, and what it is for.
    async fn accept(&self) -> Option<(FrameLink, Hello)> {
        let (mut socket, _) = self.listener.accept().await.unwrap();
        // The library has no way to make one of its streams of a socket that was accepted here, but of one end of a pair.
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let copying = async move { copy_bidirectional(&mut socket, &mut theirs).await };
        tokio::runtime::Handle::current().spawn(copying);
        let stream = Stream::Unix(ours);
        let secured = accept_handshake(&stream, &self.tls).await.ok()?;
        let mut link = FrameLink::new(stream, secured.records);
        match link.receive(MAX_BODY).await {
            Ok(Received::Message(json)) => match message::decode(&json) {
                Ok(Message::Hello(hello)) => Some((link, hello)),
                _ => None,
            },
            _ => None,
        }
    }
}

#[test]
fn a_known_accepting_end_that_says_anything_has_nothing_dialled_and_nothing_bound() {
    let (service, port, never) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let forbidden = TcpListener::bind("127.0.0.1:0").unwrap();
    forbidden.set_nonblocking(true).unwrap();
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");
    let own = PrivateKey::generate().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let evil = format!(
        "[tunnels.evil]\nconnect = \"{}\"\npublic_key = \"{}\"\n[routes.web2]\nlisten = \"tunnel:evil\"\ntarget = \
         \"{}\"\n",
        listener.local_addr().unwrap(),
        own.public(),
        service.address
    );
    let server = Server { listener, tls: Accepting::new(&own, std::sync::Arc::new(Everybody)) };
    pair.home.save(&format!("{route}{evil}"));
    pair.home.program.signal(rustix::process::Signal::HUP);
    let (mut most, mut talks) = (0, 0_u64);
    let wishes = Wishes { listen: never.address.to_string(), dial: forbidden.local_addr().unwrap() };

    let (end, mut dice) = (Instant::now() + duration(), Dice(11));
    while Instant::now() < end {
        runtime.block_on(async {
            let Ok(Some((mut link, hello))) = timeout(Duration::from_secs(1), server.accept()).await else {
                return;
            };
            let session = Token([dice.throw(256) as u8; 16]);
            let is_control = matches!(hello, Hello::Control { .. });
            let welcomed = say(&mut link, said(&Message::Welcome(welcome(session)))).await.is_ok();
            if welcomed && is_control {
                let _ = say(&mut link, said(&Message::Carry { ready: 3 })).await;
                // It is let in to a carrier or two before it talks on.
                for _ in 0..dice.throw(3) {
                    let next = timeout(Duration::from_millis(300), server.accept()).await;
                    if let Ok(Some((mut carrier, Hello::Carrier { session, .. }))) = next {
                        let _ = say(&mut carrier, said(&Message::Welcome(welcome(session)))).await;
                        talk(carrier, &mut dice, &wishes).await;
                    }
                }
            }
            talk(link, &mut dice, &wishes).await;
            talks += 1;
        });
        // Now and then: each of many at once would have a carrier kept ready.
        if talks % 20 == 1 {
            Connection::to(visitors).expect_whole_echo(talks, 1_000);
        }
        most = most.max(pair.home.program.anonymous_memory());
    }

    println!("{talks} talks, at most {most} bytes");
    assert!(talks > 0, "{talks}");
    assert!(most < MOST, "{most} bytes");
    assert!(forbidden.accept().is_err(), "what may not be dialled was dialled");
    assert!(std::net::TcpStream::connect(never.address).is_err(), "what may not be listened on is");
    assert_eq!((pair.home.times("vps", "up"), pair.home.times("vps", "down")), (1, 0));
    is_clean(pair.home.lines());
}
