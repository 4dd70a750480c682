//! A question whether a key and its routes would be let in. Nothing is bound for it, and nobody is replaced.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;
use tokio::time::timeout;

use super::answers::{STEP, refuse, say, welcome};
use super::session::lock;
use crate::address::{Run, TargetAddress, There};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::message::{
    self, ByeCode, DialIs, DialTo, DialsAre, MAX_DIALS, Message, SameKey, Token, WantedDial, WantedRoute,
};
use crate::tunnel::asked;
use crate::tunnel::link::Link;

/// How long a key waits for its next answer.
const PAUSE: Duration = Duration::from_secs(1);

/// When each key last got an answer; only keys that are known ask.
#[derive(Default)]
pub(super) struct Probes(Mutex<BTreeMap<PublicKey, Instant>>);

impl Probes {
    /// Whether a key may ask again.
    pub(super) fn may_ask(&self, key: &PublicKey) -> bool {
        let (mut asked, now) = (lock(&self.0), Instant::now());
        asked.retain(|_, at| now.saturating_duration_since(*at) < PAUSE);
        asked.insert(*key, now).is_none()
    }
}

/// What is asked, and what the answer begins with.
pub(super) struct Question {
    pub(super) routes: Vec<WantedRoute>,
    pub(super) dials: Vec<WantedDial>,
    /// Where a control with the asker's key comes from, and since when.
    pub(super) control: Option<(SocketAddr, SystemTime)>,
}

/// Answers with what would become of these routes and sessions, as far as that is known without a try.
pub(super) async fn answer(mut link: FrameLink, of: &Link, asked: Question, from: SocketAddr) {
    let fates = message::routes_are(&asked::would_be(of, &asked.routes));
    let answered = async {
        // No carrier will ever name it.
        let token = Token::random()?;
        say(&mut link, &welcome(of, token, from, None)).await.ok()?;
        if let Some((from, since)) = asked.control {
            let (from, since) = (from.to_string(), format_rfc3339_seconds(since).to_string());
            say(&mut link, &Message::SameKey(SameKey { from, since })).await.ok()?;
        }
        if !asked.dials.is_empty() {
            let dials = asked.dials.into_iter().take(MAX_DIALS).map(|it| would_reach(of, it)).collect();
            say(&mut link, &Message::DialsAre(DialsAre { dials })).await.ok()?;
        }
        for part in &fates {
            say(&mut link, part).await.ok()?;
        }
        Some(())
    };
    if let Ok(Some(())) = timeout(STEP, answered).await {
        refuse(link, ByeCode::Stopping, "that was the answer", None).await;
    }
}

fn would_reach(link: &Link, wanted: WantedDial) -> DialIs {
    let to = match &wanted.to {
        DialTo::Service(name) => There::service(name),
        DialTo::Address(text) => address(text),
    };
    let (may, down) = to.map_or((false, None), |to| asked::would_reach(link, &to, wanted.protocol));
    DialIs { of: wanted, may, cause: down.map(|cause| cause.code().to_owned()) }
}

/// One address; what is none is no more permitted than any other.
fn address(text: &str) -> Option<There> {
    let run: Run<TargetAddress> = text.parse().ok()?;
    let is_one = run.count() == 1 && run.first().there().is_none();
    is_one.then(|| There::Address(Box::new(run.at(0))))
}
