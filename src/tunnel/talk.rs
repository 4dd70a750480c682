//! What the two ends of a control tell each other, whichever has dialled: what is offered, what became of it, and whether
//! what is behind it is up.

use super::control::Control;
use super::link::Link;
use super::offers::fates::Fates;
use super::offers::states;
use crate::address::TunnelName;
use crate::outcome::Cause;
use crate::transport::tunnel::message::{self, Message, State};

/// Tells the other end everything, and every change of it, for as long as it is polled.
pub(crate) async fn tell(link: &Link, control: &Control) {
    tokio::join!(tell_offers(link, control), tell_fates(link, control), tell_states(link, control));
}

/// Takes in what the other end says. `there` is this tunnel's name at the other end, if it has said one. It never waits.
pub(crate) fn hear(link: &Link, there: Option<&TunnelName>, fates: &mut Fates, message: Message) {
    match message {
        Message::Routes(wanted) => link.asked.want(wanted.routes),
        Message::RoutesAre(answers) => {
            let terms = link.terms();
            // Whoever ends the program for it has the lines before it.
            let news = answers.routes.clone();
            let lines = fates.news(&link.name, there, terms.offers(), answers.routes);
            lines.iter().for_each(|line| line.log(&link.name));
            link.beginning.hear(terms.offers(), &news);
        }
        Message::State(State { route, up, cause }) => link.line.set_state(&route, cause_of(up, cause)),
        Message::Hello(_)
        | Message::Welcome(_)
        | Message::Bye(_)
        | Message::Carry { .. }
        | Message::SameKey(_)
        | Message::DialsAre(_)
        | Message::AskDatagrams
        | Message::Datagrams(_)
        | Message::Unknown => {}
    }
}

/// How many idle carriers this end keeps ready at least: none where no route of it leads there.
pub(crate) fn least(link: &Link) -> usize {
    let terms = link.terms();
    let is_asked = !link.asked.fates().borrow().is_empty();
    if is_asked || terms.dials_there() { terms.tunnel.pool } else { 0 }
}

/// The whole set of what is offered there, now and after each change.
async fn tell_offers(link: &Link, control: &Control) {
    let mut changes = link.changes();
    let mut told = changes.borrow_and_update().clone();
    send(control, message::routes(&told.offers().wanted())).await;
    while changes.changed().await.is_ok() {
        let now = changes.borrow_and_update().clone();
        if now.offers() != told.offers() {
            send(control, message::routes(&now.offers().wanted())).await;
        }
        told = now;
    }
}

/// What became of the routes that the other end wants.
async fn tell_fates(link: &Link, control: &Control) {
    let mut fates = link.asked.fates();
    // What was told to the control before is old.
    fates.mark_unchanged();
    while fates.changed().await.is_ok() {
        let now = fates.borrow_and_update().clone();
        send(control, message::routes_are(&now)).await;
    }
}

async fn tell_states(link: &Link, control: &Control) {
    let mut told = states::Told::default();
    loop {
        let terms = link.terms();
        for state in told.next(terms.offers(), &link.engine).await {
            control.send(Message::State(state)).await;
        }
    }
}

async fn send(control: &Control, messages: Vec<Message>) {
    for message in messages {
        control.send(message).await;
    }
}

fn cause_of(up: bool, code: Option<String>) -> Option<Cause> {
    let known = |code: &str| Cause::ALL.into_iter().find(|cause| cause.code() == code);
    (!up).then(|| code.as_deref().and_then(known).unwrap_or(Cause::Other(0)))
}
