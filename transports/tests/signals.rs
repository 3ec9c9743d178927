//! Shutdown by signals, in a test program of its own because signals reach the
//! whole process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use downlink_transports::serve::{Server, Signals};
use futures::{StreamExt, stream};
use rustix::process::{Signal, getpid, kill_process};
use support::{Raw, listener, soon};

/// Sends `hello`, and does not end when the server drains.
async fn endless() -> Response {
    let hello = stream::iter([Ok::<_, Infallible>(Bytes::from("hello\n"))]);
    Response::new(Body::from_stream(hello.chain(stream::pending())))
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_it_at_once() {
    let signals = Signals::listen().unwrap();
    let server = Server::new(Router::new().route("/endless", get(endless)))
        .with_drain_deadline(Duration::from_hours(1))
        .with_force(signals.force.clone());
    let handle = server.clone();
    let (listener, address) = listener().await;
    let serving = tokio::spawn(server.serve(listener, signals.drain.clone()));
    let mut open = Raw::get(address, "/endless").await;
    open.until("hello\n").await;

    kill_process(getpid(), Signal::TERM).unwrap();
    soon("the drain", signals.drain.cancelled()).await;
    assert!(!signals.force.is_cancelled() && !serving.is_finished());
    kill_process(getpid(), Signal::INT).unwrap();
    soon("the end", serving).await.unwrap().unwrap();
    open.rest().await;
    assert_eq!((handle.stats().aborted, handle.stats().open), (1, 0));
}
