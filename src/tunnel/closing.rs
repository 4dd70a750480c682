//! How this end closes a connection that carries sessions or flows, or none.

use std::time::Duration;

use tokio::time::timeout;

use crate::transport::tunnel::carrier::{Broken, FrameLink};
use crate::transport::tunnel::frame::{CloseCode, Frame};

/// How long an answer may take that is the last.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(5);

/// Says why this end closes.
pub(crate) async fn tell_close(frames: &mut FrameLink, code: CloseCode) {
    let told = async {
        frames.queue(&Frame::Close(code))?;
        frames.flush().await
    };
    // It is closed either way.
    let _: Result<Result<(), Broken>, _> = timeout(LAST_WORD, told).await;
}
