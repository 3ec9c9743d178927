//! Rows and events agree, and a server with a blocked transaction is not ready.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use downlink::{BoxError, EventId, EventStore, Hub, LocalBus, Read};
use downlink_rusqlite::{Options, RusqliteStore};
use downlink_transports::health;
use http::{Request, StatusCode};
use tower::ServiceExt;

async fn send(app: &Router, method: &str, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn events(store: &RusqliteStore) -> usize {
    store.read_log(Read::log()).await.unwrap().events.len()
}

#[tokio::test]
async fn a_gate_has_one_flight_and_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gates.db");
    let tables = "PRAGMA user_version = 12; CREATE TABLE staff (name TEXT)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(tables).unwrap();
    let store = gates::open(&path).await.unwrap();
    gates::prepare(&store).await.unwrap();
    let app = gates::router(&store);
    let take = format!("/gates/C71/UA1545/{}", EventId::now());

    let (status, cursor) = send(&app, "PUT", &take).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        send(&app, "PUT", &take).await,
        (StatusCode::OK, cursor),
        "a repeated request must have the same response"
    );
    let other = format!("/gates/C71/AA1141/{}", EventId::now());
    let (status, message) = send(&app, "PUT", &other).await;
    assert_eq!((status, &message[..]), (StatusCode::CONFLICT, "the gate is occupied"));
    assert_eq!(send(&app, "PUT", "/gates/C71/UA1545/mine").await.0, StatusCode::BAD_REQUEST);

    let gates = rusqlite::Connection::open(store.path()).unwrap();
    let flight: String = gates.query_row("SELECT flight FROM gates", (), |row| row.get(0)).unwrap();
    assert_eq!((&flight[..], events(&store).await), ("UA1545", 1));
    let version: i64 = gates.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 12, "the user_version is the application's");
}

#[tokio::test]
async fn a_server_with_a_blocked_transaction_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().with_transaction_deadline(Duration::from_millis(20));
    let store = options.open(folder.path().join("gates.db")).await.unwrap();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let app = health::router(&hub);
    assert_eq!(send(&app, "GET", "/health/ready").await.0, StatusCode::OK);
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocking = tokio::spawn(async move {
        store.transact(move |_| Ok::<_, BoxError>(blocked.recv().is_ok())).await
    });
    while send(&app, "GET", "/health/ready").await.0 != StatusCode::SERVICE_UNAVAILABLE {
        tokio::task::yield_now().await;
    }
    assert!(send(&app, "GET", "/health/ready").await.1.contains("has not ended by its deadline"));
    assert_eq!(send(&app, "GET", "/health/live").await.0, StatusCode::OK);
    drop(unblock);
    assert!(blocking.await.unwrap().is_err(), "the transaction must be rolled back");
    assert_eq!(send(&app, "GET", "/health/ready").await.0, StatusCode::OK);
    hub.shutdown().await;
}
