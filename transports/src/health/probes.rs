use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use downlink::Hub;
use http::header::CONTENT_TYPE;

use crate::connection::Connection;
use crate::wire::{Code, Problem};

/// How long the store may take to return the head of its log.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Response {
    ok("live")
}

pub(super) async fn ready(
    State(hub): State<Hub>,
    connection: Option<Extension<Connection>>,
) -> Response {
    let is_draining = connection.is_some_and(|connection| connection.drain.is_cancelled());
    match check(&hub, is_draining).await {
        Ok(()) => ok("ready"),
        Err(problem) => problem.into_response(),
    }
}

async fn check(hub: &Hub, is_draining: bool) -> Result<(), Problem> {
    if is_draining || hub.shutdown_token().is_cancelled() {
        return Err(Problem::new(Code::Draining, "the server is shutting down: use another one"));
    }
    if hub.has_overdue_transaction() {
        let message = "a transaction of the application has not ended by its deadline and holds up \
                       every append: find out what it waits for, and restart the server";
        return Err(Problem::new(Code::Unavailable, message));
    }
    if !hub.is_following() {
        let message = "the log cannot be read for subscriptions: see the server's log";
        return Err(Problem::new(Code::Unavailable, message));
    }
    let head = tokio::time::timeout(STORE_TIMEOUT, hub.head()).await;
    let head = head.map_err(|_| {
        Problem::new(
            Code::Unavailable,
            format!("the store has not answered within {STORE_TIMEOUT:?}"),
        )
    })?;
    head.map(drop).map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::new(Code::Unavailable, "the store does not answer: see the server's log")
    })
}

fn ok(status: &str) -> Response {
    let body = format!(r#"{{"status":"{status}"}}"#);
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use axum::body::Body;
    use downlink::store::{Appended, Page};
    use downlink::{Append, Cursor, Error, ErrorKind, EventStore};
    use http::{Request, StatusCode};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;

    async fn status(hub: &Hub, path: &str, connection: Option<Connection>) -> StatusCode {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(connection) = connection {
            request.extensions_mut().insert(connection);
        }
        super::super::router(hub).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_hub_that_was_shut_down_is_live_but_not_ready() {
        let hub = downlink::memory::hub().await.unwrap();
        assert_eq!(status(&hub, "/health/live", None).await, StatusCode::OK);
        assert_eq!(status(&hub, "/health/ready", None).await, StatusCode::OK);
        hub.shutdown().await;
        assert_eq!(status(&hub, "/health/live", None).await, StatusCode::OK);
        assert_eq!(status(&hub, "/health/ready", None).await, StatusCode::SERVICE_UNAVAILABLE);
    }

    /// A store whose reads fail while the flag is set.
    #[derive(Clone, Debug, Default)]
    struct Unreadable(downlink::MemoryStore, Arc<AtomicBool>);

    #[async_trait]
    impl EventStore for Unreadable {
        async fn append(&self, append: Append) -> downlink::Result<Appended> {
            self.0.append(append).await
        }

        async fn read_log(&self, read: downlink::store::ReadLog) -> downlink::Result<Page> {
            if self.1.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "this read fails on purpose"));
            }
            self.0.read_log(read).await
        }

        async fn read_stream(&self, read: downlink::store::ReadStream) -> downlink::Result<Page> {
            if self.1.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "this read fails on purpose"));
            }
            self.0.read_stream(read).await
        }

        async fn head(&self) -> downlink::Result<Cursor> {
            self.0.head().await
        }

        fn commits(&self) -> Option<downlink::commit::Commits> {
            None
        }
    }

    #[tokio::test]
    async fn a_server_that_cannot_read_for_subscriptions_is_not_ready() {
        let store = Unreadable::default();
        let often = std::time::Duration::from_millis(1);
        let hub = Hub::builder(store.clone(), downlink::LocalBus::new()).with_poll_interval(often);
        let hub = hub.start().await.unwrap();
        for (unreadable, expected) in
            [(true, StatusCode::SERVICE_UNAVAILABLE), (false, StatusCode::OK)]
        {
            store.1.store(unreadable, Ordering::SeqCst);
            while status(&hub, "/health/ready", None).await != expected {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_draining_server_is_not_ready() {
        let hub = downlink::memory::hub().await.unwrap();
        let drain = CancellationToken::new();
        let connection = Connection::new(([127, 0, 0, 1], 1).into(), drain.clone());
        assert_eq!(status(&hub, "/health/ready", Some(connection.clone())).await, StatusCode::OK);
        drain.cancel();
        let drained = status(&hub, "/health/ready", Some(connection)).await;
        assert_eq!(drained, StatusCode::SERVICE_UNAVAILABLE);
    }
}
