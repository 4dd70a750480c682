//! What holds between two ends.

use super::*;
use crate::address::There;
use crate::outcome::Cause;

#[tokio::test]
async fn a_visitor_there_reaches_a_service_here_again_and_again() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &web(service))).await;
    let at = there.listening_for("home", "web").await;

    for n in 0..30 {
        let sent = vec![n; 1 + 5000 * usize::from(n)];
        assert!(exchange(at, &sent).await.unwrap() == sent, "session {n}");
    }

    let (theirs, ours) = (there.records(30).await, here.records(30).await);
    let ids = |records: &[String]| {
        let mut ids: Vec<_> = records.iter().map(|record| word(record, "id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&theirs), ids(&ours));
    assert!(theirs.iter().chain(&ours).all(|record| word(record, "end") == "done"), "{theirs:#?}{ours:#?}");
    assert_eq!(word(&ours[0], "tunnel"), "vps", "{}", ours[0]);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_client_here_reaches_a_service_there_by_its_name_and_no_other() {
    let keys = Keys::make();
    let service = echo().await;
    let offered = format!("[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{service}\"\n");
    let hidden = format!("[routes.secret]\nlisten = \"127.0.0.1:0\"\ntarget = \"{service}\"\n");
    let there = End::start(&server(&keys, &(offered + &hidden))).await;
    let route = |name: &str, more: &str| {
        format!("[routes.{name}]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/{name}\"\n{more}")
    };
    // The first may come before the tunnel is up.
    let routes = route("db", "wait_for_target = \"20s\"\n") + &route("secret", "") + &route("none", "");
    let here = End::start(&home(&keys, there.listens.unwrap(), &routes)).await;
    let at = |name: &str| here.routes[name];

    assert_eq!(exchange(at("db"), b"hello").await.unwrap(), b"hello");
    for refused in ["secret", "none"] {
        assert!(exchange(at(refused), b"hello").await.is_err(), "{refused}");
    }

    let records = here.records(3).await;
    // A record is written once its carrier is free, and that may be after the next one's.
    let mut ends: Vec<_> =
        records.iter().map(|record| ["route", "end", "cause"].map(|key| word(record, key))).collect();
    ends.sort();
    let refused = |route| [route, "no_target", "tunnel_refused"];
    assert_eq!(ends, [["db", "done", ""], refused("none"), refused("secret")], "{records:#?}");
    assert_eq!(there.records(1).await.len(), 1, "what is not offered has no session there");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_reload_here_changes_what_listens_there_and_nothing_else() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let api = format!("[routes.api]\nlisten = \"tunnel:vps/127.0.0.1:0\"\ntarget = \"{service}\"\n");
    let mut here = End::start(&home(&keys, listens, &web(service))).await;
    let web_at = there.listening_for("home", "web").await;
    let mut open = TcpStream::connect(web_at).await.unwrap();
    open.write_all(b"still ").await.unwrap();

    here.reload(&home(&keys, listens, &(web(service) + &api))).await;
    let api_at = there.listening_for("home", "api").await;
    assert_eq!(exchange(api_at, b"new").await.unwrap(), b"new");
    assert_eq!(there.listening_for("home", "web").await, web_at);
    here.reload(&home(&keys, listens, &api)).await;
    there.not_listening_for("home", "web").await;

    assert!(TcpStream::connect(web_at).await.is_err(), "the route is gone");
    open.write_all(b"here").await.unwrap();
    open.shutdown().await.unwrap();
    let mut back = Vec::new();
    timeout(PATIENCE, open.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, b"still here", "its session lives on");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_anew_is_dialled_again_and_listens_for_the_same_routes() {
    let keys = Keys::make();
    let service = echo().await;
    let first = End::start(&server(&keys, NEEDED)).await;
    let listens = first.listens.unwrap();
    let here = End::start(&home(&keys, listens, &web(service))).await;
    let before = first.listening_for("home", "web").await;
    first.stop().await;

    let text =
        server(&keys, NEEDED).replace("127.0.0.1:0\"\nprivate_key", &format!("{listens}\"\nprivate_key"));
    let second = End::start(&text).await;

    let after = second.listening_for("home", "web").await;
    assert_eq!(after, before, "the same port is chosen again");
    assert_eq!(exchange(after, b"again").await.unwrap(), b"again");
    here.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_service_that_is_down_here_is_down_there_and_is_back_once_it_is() {
    let keys = Keys::make();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = service.local_addr().unwrap();
    let there = End::start(&server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &web(target))).await;
    let at = there.listening_for("home", "web").await;
    drop(service);
    // The process that has listened lives on, so that only a client shows it.
    assert!(exchange(at, b"in vain").await.is_err());
    let name = There::service("web").unwrap();
    let mut state = there.engine.lines().get(&"home".parse().unwrap()).watch();

    let down = timeout(PATIENCE, state.wait_for(|state| state.fault(&name).is_some())).await.unwrap();
    assert_eq!(
        down.unwrap().fault(&name).map(|fault| (fault.cause, fault.far)),
        Some((Cause::Refused, true))
    );

    let back = TcpListener::bind(target).await.unwrap();
    timeout(PATIENCE, state.wait_for(|state| state.fault(&name).is_none())).await.unwrap().unwrap();
    let visitor = TcpStream::connect(at).await.unwrap();
    timeout(PATIENCE, back.accept()).await.unwrap().unwrap();
    drop(visitor);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_key_that_is_taken_away_here_ends_the_tunnel_and_another_one_begins_it() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let mut here = End::start(&home(&keys, listens, &web(service))).await;
    let at = there.listening_for("home", "web").await;
    let line = here.engine.lines().get(&"vps".parse().unwrap());
    let mut state = line.watch();
    assert!(state.borrow_and_update().is_up());

    let other = key(&keys.folder.path().join("other.key"));
    here.reload(&home(&keys, listens, &web(service)).replace(&keys.server.public, &other.public)).await;
    timeout(PATIENCE, state.wait_for(|state| !state.is_up())).await.unwrap().unwrap();

    here.reload(&home(&keys, listens, &web(service))).await;
    timeout(PATIENCE, state.wait_for(|state| state.is_up())).await.unwrap().unwrap();
    assert_eq!(exchange(at, b"back").await.unwrap(), b"back");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_hundred_visitors_at_once_are_all_carried_and_one_more_than_the_tunnel_may_have_is_not() {
    let keys = Keys::make();
    let service = echo().await;
    // A handshake of these builds takes its time.
    let defaults = format!("[tunnels.home.defaults]\nconnect_timeout = \"20s\"\n{NEEDED}");
    let there = End::start(&server(&keys, &defaults)).await;
    let text = home(&keys, there.listens.unwrap(), &web(service));
    let here = End::start(&text.replace("[routes", "max_connections = 100\n[routes")).await;
    let at = there.listening_for("home", "web").await;
    let mut open = Vec::new();
    for n in 0..100_u8 {
        let mut visitor = TcpStream::connect(at).await.unwrap();
        visitor.write_all(&[n]).await.unwrap();
        open.push(visitor);
    }
    for (n, visitor) in open.iter_mut().enumerate() {
        let echoed = timeout(PATIENCE, visitor.read_u8()).await.unwrap();
        assert_eq!(echoed.unwrap(), n as u8);
    }

    assert!(exchange(at, b"one more").await.is_err());
    drop(open.pop());
    // Its end has to reach this end before there is room.
    there.records(2).await;
    here.records(1).await;
    assert_eq!(exchange(at, b"room").await.unwrap(), b"room");
    drop(open);
    here.stop().await;
    there.stop().await;
}
