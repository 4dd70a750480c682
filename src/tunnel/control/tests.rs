use super::*;
use crate::address::Protocol;
use crate::transport::tunnel::carrier::testing::links;
use crate::transport::tunnel::frame::CloseCode;
use crate::transport::tunnel::message::{Hello, Routes, State, Token, WantedRoute};

const PING: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

fn state(route: &str) -> Message {
    Message::State(State { route: route.into(), up: true, cause: None })
}

fn bye() -> Bye {
    Bye { code: ByeCode::Stopping, words: "for now".into(), retry_ms: Some(500) }
}

/// A control that runs on one of two links, what it hears, and how it ends.
struct Running {
    control: Control,
    heard: mpsc::UnboundedReceiver<Message>,
    end: tokio::task::JoinHandle<ControlEnd>,
}

fn start(link: FrameLink) -> Running {
    let (control, inbox) = channel();
    let (hear, heard) = mpsc::unbounded_channel();
    let mut on_message = move |message| drop(hear.send(message));
    let runtime = tokio::runtime::Handle::current();
    let end = runtime.spawn(async move { run(link, PING, inbox, &mut on_message).await });
    Running { control, heard, end }
}

impl Running {
    async fn hears(&mut self) -> Message {
        timeout(PATIENCE, self.heard.recv()).await.unwrap().unwrap()
    }

    async fn ends(self) -> ControlEnd {
        timeout(PATIENCE, self.end).await.unwrap().unwrap()
    }
}

/// The next message that arrives, whatever frames are between.
async fn message_on(link: &mut FrameLink) -> Message {
    loop {
        let received = timeout(PATIENCE, link.receive(MAX_LONG)).await.unwrap().unwrap();
        if let Received::Message(json) = received {
            return message::decode(&json).unwrap();
        }
    }
}

#[tokio::test]
async fn each_end_hears_the_other_and_answers_a_probe() {
    let (one, other) = links().await;
    let (mut one, mut other) = (start(one), start(other));

    assert!(one.control.send(state("web")).await && other.control.send(Message::Carry { ready: 4 }).await);

    assert_eq!(other.hears().await, state("web"));
    assert_eq!(one.hears().await, Message::Carry { ready: 4 });
    assert!(one.control.probe().await);
}

#[tokio::test]
async fn a_goodbye_is_the_last_and_reaches_the_other_end_with_what_was_sent_before() {
    let (one, other) = links().await;
    let (one, mut other) = (start(one), start(other));

    one.control.send(state("web")).await;
    one.control.send(Message::Bye(bye())).await;

    assert_eq!(other.hears().await, state("web"));
    assert!(matches!(other.ends().await, ControlEnd::Bye(said) if said == bye()));
    let (control, end) = (one.control.clone(), one.ends().await);
    assert!(matches!(end, ControlEnd::Ordered), "{end:?}");
    assert!(!control.send(state("web")).await && !control.probe().await);
}

#[tokio::test]
async fn an_end_that_does_not_answer_a_probe_is_dead_two_seconds_later() {
    let (one, silent) = links().await;
    let one = start(one);
    let begun = Instant::now();

    let answered = timeout(PATIENCE, one.control.probe()).await.unwrap();

    assert!(!answered && begun.elapsed() >= Duration::from_secs(2));
    let end = one.ends().await;
    assert!(matches!(end, ControlEnd::Dead), "{end:?}");
    drop(silent);
}

#[tokio::test]
async fn an_end_that_closes_without_a_goodbye_is_gone_at_once() {
    let (one, other) = links().await;
    let one = start(one);

    drop(other);

    let end = one.ends().await;
    assert!(matches!(end, ControlEnd::Broken(_)), "{end:?}");
}

/// What this end is told after the other has sent this.
async fn answered_to(send: impl FnOnce(&mut FrameLink)) -> (Message, ControlEnd) {
    let (one, mut other) = links().await;
    let one = start(one);
    send(&mut other);
    let said = message_on(&mut other).await;
    drop(other);
    (said, one.ends().await)
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_told_so() {
    let hello = Message::Hello(Hello::Carrier {
        session: Token([1; 16]),
        opener: crate::transport::tunnel::message::End::Dialling,
    });
    let name = |n: usize| WantedRoute { name: format!("r{n}"), protocol: Protocol::Tcp, listen: Vec::new() };
    let too_many = Message::Routes(Routes { routes: (0..=1024).map(name).collect(), more: false });
    let send = |message: Message| {
        move |link: &mut FrameLink| link.queue_message(&message::encode(&message)).unwrap()
    };
    let frame = |frame: Frame| move |link: &mut FrameLink| link.queue(&frame).unwrap();
    let flood = |count: usize, frame: Frame| {
        move |link: &mut FrameLink| (0..count).for_each(|_| link.queue(&frame).unwrap())
    };
    let talk = |link: &mut FrameLink| {
        (0..200).for_each(|_| link.queue_message(&message::encode(&state("web"))).unwrap());
    };
    let answers = [
        answered_to(send(hello)).await,
        answered_to(send(too_many)).await,
        answered_to(frame(Frame::End)).await,
        answered_to(frame(Frame::Close(CloseCode::Surplus))).await,
        answered_to(flood(9, Frame::Ping(7))).await,
        answered_to(talk).await,
        answered_to(flood(50, Frame::Pong(0))).await,
        answered_to(|link: &mut FrameLink| link.queue_message(b"{\"type\":\"carry\",\"ready\":").unwrap())
            .await,
    ];

    let said = answers.map(|(said, end)| match (said, end) {
        (Message::Bye(bye), ControlEnd::Protocol(_)) if bye.code == ByeCode::Protocol => bye.words,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        said[..7],
        [
            "a second beginning",
            "more than 1024 routes, or more than 4096 addresses",
            "a frame that has no place on a control",
            "a frame that has no place on a control",
            "too many PING",
            "too many messages",
            "an answer to no question",
        ]
    );
    assert!(said[7].starts_with("a message that is wrong"), "{said:?}");
}

#[tokio::test]
async fn what_this_version_does_not_know_is_ignored() {
    let (one, mut other) = links().await;
    let mut one = start(one);

    other.queue_message(b"{\"type\":\"weather\",\"rain\":[1,2]}").unwrap();
    other.queue_message(&message::encode(&state("web"))).unwrap();
    other.flush().await.unwrap();

    assert_eq!(one.hears().await, state("web"));
}

#[tokio::test]
async fn an_end_that_has_much_to_say_never_says_more_at_once_than_the_other_takes() {
    let (one, other) = links().await;
    let (one, mut other) = (start(one), start(other));

    for n in 0..180 {
        assert!(one.control.send(state(&format!("route{n}"))).await, "{n}");
    }

    let mut heard = 0;
    while heard < 180 {
        other.hears().await;
        heard += 1;
    }
}
