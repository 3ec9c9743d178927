use http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::Connection;

/// When to stop: what the server says, what the application says, or both.
#[derive(Debug)]
pub(super) struct Drain {
    // Children, so that thousands of waiting streams do not share one lock.
    server: Option<CancellationToken>,
    application: Option<CancellationToken>,
}

impl Drain {
    pub(super) fn of(feed: &Feed, parts: &Parts) -> Self {
        let connection = parts.extensions.get::<Connection>();
        Self {
            server: connection.map(|connection| connection.drain.child_token()),
            application: feed.shutdown.as_ref().map(CancellationToken::child_token),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        let mut tokens = self.server.iter().chain(&self.application);
        tokens.any(CancellationToken::is_cancelled)
    }

    pub(super) async fn begins(&self) {
        tokio::select! {
            () = cancelled(self.server.as_ref()) => {}
            () = cancelled(self.application.as_ref()) => {}
        }
    }
}

async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}
