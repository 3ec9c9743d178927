//! Rows and events agree, whatever is asked, and a server that is stuck says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use downlink::{BoxError, EventId, EventStore, Hub, LocalBus, Read};
use downlink_rusqlite::{Options, RusqliteStore};
use downlink_transports::health;
use http::{Request, StatusCode};
use tower::ServiceExt;

async fn ask(app: &Router, method: &str, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn events(store: &RusqliteStore) -> usize {
    store.read(Read::log()).await.unwrap().events.len()
}

#[tokio::test]
async fn a_gate_is_taken_once_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gates.db");
    let tables = "PRAGMA user_version = 12; CREATE TABLE staff (name TEXT)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(tables).unwrap();
    let store = gates::open(&path).await.unwrap();
    gates::prepare(&store).await.unwrap();
    let app = gates::router(&store);
    let take = format!("/gates/C71/UA1545/{}", EventId::now());

    let (status, cursor) = ask(&app, "PUT", &take).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ask(&app, "PUT", &take).await, (StatusCode::OK, cursor), "the same answer again");
    let other = format!("/gates/C71/AA1141/{}", EventId::now());
    let (status, why) = ask(&app, "PUT", &other).await;
    assert_eq!((status, &why[..]), (StatusCode::CONFLICT, "the gate is taken"));
    assert_eq!(ask(&app, "PUT", "/gates/C71/UA1545/mine").await.0, StatusCode::BAD_REQUEST);

    let gates = rusqlite::Connection::open(store.path()).unwrap();
    let flight: String = gates.query_row("SELECT flight FROM gates", (), |row| row.get(0)).unwrap();
    assert_eq!((&flight[..], events(&store).await), ("UA1545", 1));
    let version: i64 = gates.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 12, "it is the application's");
}

#[tokio::test]
async fn a_server_whose_transaction_blocks_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().with_transaction_deadline(Duration::from_millis(20));
    let store = options.open(folder.path().join("gates.db")).await.unwrap();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let app = health::router(&hub);
    assert_eq!(ask(&app, "GET", "/health/ready").await.0, StatusCode::OK);
    let (lets_go, blocks) = mpsc::channel::<()>();
    let blocking = tokio::spawn(async move {
        store.transact(move |_| Ok::<_, BoxError>(blocks.recv().is_ok())).await
    });
    while ask(&app, "GET", "/health/ready").await.0 != StatusCode::SERVICE_UNAVAILABLE {
        tokio::task::yield_now().await;
    }
    assert!(ask(&app, "GET", "/health/ready").await.1.contains("has not ended at its deadline"));
    assert_eq!(ask(&app, "GET", "/health/live").await.0, StatusCode::OK);
    drop(lets_go);
    assert!(blocking.await.unwrap().is_err(), "it is rolled back");
    assert_eq!(ask(&app, "GET", "/health/ready").await.0, StatusCode::OK);
    hub.shutdown().await;
}
