use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use downlink::Hub;
use http::header::CONTENT_TYPE;

use crate::Connection;
use crate::wire::{Code, Problem};

/// How long the store may take to say where its log ends.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Response {
    good("live")
}

pub(super) async fn ready(
    State(hub): State<Hub>,
    connection: Option<Extension<Connection>>,
) -> Response {
    let drains = connection.is_some_and(|connection| connection.drain.is_cancelled());
    match check(&hub, drains).await {
        Ok(()) => good("ready"),
        Err(problem) => problem.into_response(),
    }
}

async fn check(hub: &Hub, drains: bool) -> Result<(), Problem> {
    if drains || hub.stopped().is_cancelled() {
        return Err(Problem::new(Code::Draining, "the server is about to go: ask another one"));
    }
    if hub.is_stuck() {
        let message = "a transaction of the application has not ended at its deadline and holds up \
                       every append: restart the server, and see what it waits for";
        return Err(Problem::new(Code::Unavailable, message));
    }
    if !hub.is_following() {
        let message = "the log cannot be read for those who follow it: see the log of the server";
        return Err(Problem::new(Code::Unavailable, message));
    }
    let head = tokio::time::timeout(PATIENCE, hub.head()).await;
    let head = head.map_err(|_| {
        Problem::new(Code::Unavailable, format!("the store has not answered for {PATIENCE:?}"))
    })?;
    head.map(drop).map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::new(Code::Unavailable, "the store does not answer: see the log of the server")
    })
}

fn good(status: &str) -> Response {
    let body = format!(r#"{{"status":"{status}"}}"#);
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use axum::body::Body;
    use downlink::{Append, Appended, Cursor, Error, ErrorKind, EventStore, Page, Read};
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
    async fn a_hub_that_was_shut_down_is_alive_and_not_ready() {
        let hub = downlink::memory::hub().await.unwrap();
        assert_eq!(status(&hub, "/health/live", None).await, StatusCode::OK);
        assert_eq!(status(&hub, "/health/ready", None).await, StatusCode::OK);
        hub.shutdown().await;
        assert_eq!(status(&hub, "/health/live", None).await, StatusCode::OK);
        assert_eq!(status(&hub, "/health/ready", None).await, StatusCode::SERVICE_UNAVAILABLE);
    }

    /// A store whose reads fail as long as it is told to.
    #[derive(Clone, Debug, Default)]
    struct Unreadable(downlink::MemoryStore, Arc<AtomicBool>);

    #[async_trait]
    impl EventStore for Unreadable {
        async fn append(&self, append: Append) -> downlink::Result<Appended> {
            self.0.append(append).await
        }

        async fn read(&self, read: Read) -> downlink::Result<Page> {
            if self.1.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "it cannot be read, on purpose"));
            }
            self.0.read(read).await
        }

        async fn head(&self) -> downlink::Result<Cursor> {
            self.0.head().await
        }

        fn commits(&self) -> Option<downlink::commit::Commits> {
            None
        }
    }

    #[tokio::test]
    async fn a_server_whose_followers_hear_nothing_is_not_ready() {
        let store = Unreadable::default();
        let often = std::time::Duration::from_millis(1);
        let hub = Hub::builder(store.clone(), downlink::LocalBus::new()).fallback(often);
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
    async fn a_server_that_drains_is_not_ready() {
        let hub = downlink::memory::hub().await.unwrap();
        let drain = CancellationToken::new();
        let connection = Connection::new(([127, 0, 0, 1], 1).into(), drain.clone());
        assert_eq!(status(&hub, "/health/ready", Some(connection.clone())).await, StatusCode::OK);
        drain.cancel();
        let drained = status(&hub, "/health/ready", Some(connection)).await;
        assert_eq!(drained, StatusCode::SERVICE_UNAVAILABLE);
    }
}
