//! A question whether a key and its routes would be let in. Nothing is bound for it, and nobody is replaced.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;
use tokio::time::timeout;

use super::answers::{STEP, refuse, say, welcome};
use super::session::lock;
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::message::{self, ByeCode, Message, SameKey, Token, WantedRoute};
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

/// Answers with what would become of these routes, as far as that is known without a try.
/// `control` is where a control with this key comes from, and since when.
pub(super) async fn answer(
    mut link: FrameLink,
    of: &Link,
    routes: Vec<WantedRoute>,
    from: SocketAddr,
    control: Option<(SocketAddr, SystemTime)>,
) {
    let fates = message::routes_are(&asked::would_be(of, &routes));
    let answered = async {
        // No carrier will ever name it.
        let token = Token::random()?;
        say(&mut link, &welcome(of, token, from)).await.ok()?;
        if let Some((from, since)) = control {
            let (from, since) = (from.to_string(), format_rfc3339_seconds(since).to_string());
            say(&mut link, &Message::SameKey(SameKey { from, since })).await.ok()?;
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
