use http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::Connection;

/// When to stop: what the server says, what the application says, or both.
#[derive(Debug)]
pub(super) struct Drain {
    server: Option<CancellationToken>,
    application: Option<CancellationToken>,
}

impl Drain {
    pub(super) fn of(feed: &Feed, parts: &Parts) -> Self {
        let connection = parts.extensions.get::<Connection>();
        Self {
            server: connection.map(|connection| connection.drain.clone()),
            application: feed.shutdown.clone(),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        let mut tokens = self.server.iter().chain(&self.application);
        tokens.any(CancellationToken::is_cancelled)
    }

    pub(super) async fn begins(&self) {
        match (&self.server, &self.application) {
            (Some(token), None) | (None, Some(token)) => token.cancelled().await,
            // Boxed, because every waiting stream keeps the place of both.
            (Some(server), Some(application)) => {
                Box::pin(server.run_until_cancelled(application.cancelled())).await;
            }
            (None, None) => std::future::pending().await,
        }
    }
}
