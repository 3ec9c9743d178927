//! Signals, as an operator sends them: a program of its own, since they reach
//! the whole process.
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

/// Never ends, whatever it is told.
async fn deaf() -> Response {
    let hello = stream::iter([Ok::<_, Infallible>(Bytes::from("hello\n"))]);
    Response::new(Body::from_stream(hello.chain(stream::pending())))
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_it_at_once() {
    let signals = Signals::listen().unwrap();
    let server = Server::new(Router::new().route("/deaf", get(deaf)))
        .with_drain_deadline(Duration::from_hours(1))
        .with_force(signals.force.clone());
    let watched = server.clone();
    let (listener, address) = listener().await;
    let serving = tokio::spawn(server.serve(listener, signals.drain.clone()));
    let mut open = Raw::get(address, "/deaf").await;
    open.until("hello\n").await;

    kill_process(getpid(), Signal::TERM).unwrap();
    soon("the drain", signals.drain.cancelled()).await;
    assert!(!signals.force.is_cancelled() && !serving.is_finished());
    kill_process(getpid(), Signal::INT).unwrap();
    soon("the end", serving).await.unwrap().unwrap();
    open.rest().await;
    assert_eq!((watched.stats().aborted, watched.stats().open), (1, 0));
}
