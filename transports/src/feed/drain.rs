use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use crate::connection::Connection;
use crate::wire::{Code, Problem};

/// The shutdown signals of the server and of the application, either of which
/// ends a stream.
#[derive(Clone, Debug)]
pub(super) struct Drain {
    server: Option<CancellationToken>,
    application: Option<CancellationToken>,
}

/// The problem of a request that comes too late.
pub(crate) fn draining() -> Problem {
    Problem::new(Code::Draining, "the server is shutting down: repeat the request later")
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

    /// Drops `work` when the drain begins, and returns `None`.
    pub(super) async fn unless_begun<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.begins() => None,
            outcome = work => Some(outcome),
        }
    }

    /// As [`begins`](Self::begins), for a stream that waits again and again.
    pub(super) fn begins_owned(self) -> BoxFuture<'static, ()> {
        match (self.server, self.application) {
            (Some(token), None) | (None, Some(token)) => token.cancelled_owned().boxed(),
            (Some(server), Some(application)) => {
                let either = server.run_until_cancelled_owned(application.cancelled_owned());
                either.map(drop).boxed()
            }
            (None, None) => std::future::pending().boxed(),
        }
    }

    pub(super) async fn begins(&self) {
        match (&self.server, &self.application) {
            (Some(token), None) | (None, Some(token)) => token.cancelled().await,
            // Boxed, because every idle stream holds this future.
            (Some(server), Some(application)) => {
                Box::pin(server.run_until_cancelled(application.cancelled())).await;
            }
            (None, None) => std::future::pending().await,
        }
    }
}
