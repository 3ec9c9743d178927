//! Large appends: what is small is served while they are parsed.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::thread;

use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use support::{Raw, listener, soon};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const LARGE: usize = 16 << 20;

/// Starts a server whose runtime has a single worker, which is therefore easy to
/// block. It runs until the token is cancelled.
async fn serve() -> (SocketAddr, CancellationToken) {
    let (listener, address) = listener().await;
    let listener = listener.into_std().unwrap();
    let shutdown = CancellationToken::new();
    let until = shutdown.clone();
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let hub = downlink::memory::hub().await.unwrap();
            let feed = Feed::new(&hub).with_append().router();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            // In a task of the worker.
            // With room for all bodies and what is parsed of them.
            let server = Server::new(feed).with_byte_budget(1 << 30);
            tokio::spawn(server.serve(listener, until)).await.unwrap().unwrap();
        });
    });
    (address, shutdown)
}

/// A body of 16 MiB with as many and as long tags as there can be. Its last event
/// has the id of the one before, which the parser finds at the very end.
fn large_body() -> Vec<u8> {
    let tag = format!("\"{}\"", "t".repeat(250));
    let tags = vec![tag; 64].join(",");
    let event = format!(r#"{{"type":"T","data":{{"a":[1,2,3]}},"tags":[{tags}]}},"#);
    let last = r#"{"type":"T","data":1,"id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11"}"#;
    let events = event.repeat(998);
    let blanks = " ".repeat(LARGE - events.len() - 2 * last.len() - "[,]".len());
    format!("[{blanks}{events}{last},{last}]").into_bytes()
}

/// Sends all of a body but its last byte.
async fn begin(address: SocketAddr, body: &[u8]) -> Raw {
    let mut raw = Raw::connect(address).await;
    let length = body.len();
    raw.send(&format!(
        "POST /streams/large HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    ))
    .await;
    raw.0.write_all(&body[..length - 1]).await.unwrap();
    raw
}

async fn post_small(raw: &mut Raw) {
    let event = r#"{"type":"Small","data":1}"#;
    raw.send(&format!(
        "POST /streams/small HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{event}",
        event.len()
    ))
    .await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 201"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_requests_and_deliveries_do_not_wait_until_large_bodies_are_parsed() {
    let (address, shutdown) = serve().await;
    let mut follower = Raw::connect(address).await;
    follower
        .send("GET /feed?stream=small HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    follower.until("event: feed.live\n").await;
    let body = large_body();
    let mut large = Vec::new();
    for _ in 0..4 {
        large.push(begin(address, &body).await);
    }
    let (mut poster, mut getter) = (Raw::connect(address).await, Raw::connect(address).await);
    // The server has taken what was sent before.
    post_small(&mut poster).await;
    follower.until("\"tags\":[]}\n\n").await;
    let parsed = async {
        for raw in &mut large {
            raw.send("]").await;
        }
        for raw in &mut large {
            let answer = soon("a large body to be parsed", raw.answer()).await;
            assert!(answer.contains("stands twice in one append"), "{answer}");
        }
    };
    tokio::pin!(parsed);
    let mut rounds = 0;
    loop {
        let round = async {
            post_small(&mut poster).await;
            follower.until("\"tags\":[]}\n\n").await;
            getter.send("GET /feed?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(getter.answer().await.starts_with("HTTP/1.1 200"));
        };
        tokio::select! {
            biased;
            () = round => rounds += 1,
            () = &mut parsed => break,
        }
    }
    println!("{rounds} rounds while four bodies of 16 MiB were parsed");
    // On a worker, each body would let a few requests through before the next.
    assert!(rounds >= 60, "only {rounds} appends, deliveries and pages meanwhile");
    shutdown.cancel();
}
