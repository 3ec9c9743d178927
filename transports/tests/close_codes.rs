//! What the close codes of a WebSocket mean to a follower.
#![cfg(feature = "websocket")]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

#[path = "support/handshake.rs"]
mod handshake;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use downlink::transport::{Endpoint, Frame};
use downlink::{Cursor, Error, ErrorKind, Subscribe};
use downlink_transports::client::{Client, TransportKind};
use downlink_transports::wire::frame_json;
use futures::StreamExt;
use support::{Raw, listener, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const PAUSE: Duration = Duration::from_millis(20);

/// Accepts a socket and sends these messages, and a close frame with this code.
async fn serve(listener: &TcpListener, messages: &[String], code: u16) -> Raw {
    let mut raw = Raw(soon("a connection", listener.accept()).await.unwrap().0);
    let request = raw.until("\r\n\r\n").await;
    raw.send(&handshake::accept(&request)).await;
    for message in messages {
        raw.0.write_all(&handshake::message(message)).await.unwrap();
    }
    raw.0.write_all(&handshake::close(code)).await.unwrap();
    raw
}

fn ready() -> String {
    let heartbeat = Some(Duration::from_secs(15));
    let ready = Frame::Ready { cursor: Cursor::START, head: Cursor::START, heartbeat };
    frame_json(&ready, Some("0"))
}

fn live() -> String {
    frame_json(&Frame::Live { cursor: Cursor::START, head: Cursor::START }, Some("0"))
}

fn client(address: SocketAddr) -> Client {
    Client::new(Endpoint::new(format!("http://{address}")))
        .with_transport(TransportKind::WebSocket)
        .with_reconnect_delay(PAUSE..=PAUSE * 2)
}

/// Follows sockets that are closed with this code, and returns the error that ends
/// it, or `None` if it connects again and again.
async fn follow(
    client: impl Fn(SocketAddr) -> Client,
    messages: &[String],
    code: u16,
) -> Option<Error> {
    let (listener, address) = listener().await;
    let mut follow = client(address).follow(Subscribe::new()).unwrap();
    let server = async {
        for _ in 0..6 {
            let mut raw = serve(&listener, messages, code).await;
            raw.rest().await;
        }
    };
    let error = async {
        loop {
            if let Err(error) = follow.next().await.unwrap() {
                return error;
            }
        }
    };
    soon("an end", async {
        tokio::select! {
            () = server => None,
            error = error => Some(error),
        }
    })
    .await
}

#[tokio::test]
async fn only_the_codes_of_a_feed_end_a_follower_that_was_ready() {
    let opened = [ready(), live()];
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 4404, 4500, 4503, 4509, 4529]
    {
        let error = follow(client, &opened, code).await;
        assert!(error.is_none(), "{code}: {error:?}");
    }
    for code in [4400, 4401, 4403] {
        let error = follow(client, &opened, code).await.unwrap_or_else(|| panic!("{code}"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(&format!("why ({code})")), "{error}");
    }
}

#[tokio::test]
async fn before_ready_the_codes_of_other_servers_are_errors_too() {
    for code in [1002, 1003, 1008, 1009, 4400, 4401, 4403] {
        let error = follow(client, &[], code).await.unwrap_or_else(|| panic!("{code}"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(&format!("why ({code})")), "{error}");
    }
    // Another service that speaks WebSocket.
    let error = follow(client, &["hello".into()], 1000).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_socket_that_loses_its_authentication_is_opened_again_with_a_new_token_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let with_tokens = |address| {
        let asked = Arc::clone(&asked);
        client(address).with_token_provider(move |_| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(format!("token-{number}")))
        })
    };
    for messages in [&[ready(), live()][..], &[]] {
        asked.store(0, Ordering::SeqCst);
        let error = follow(with_tokens, messages, 4401).await.unwrap();
        assert!(error.to_string().contains("why (4401)"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_failure_of_the_server_does_not_end_a_follower() {
    let problem = Frame::Problem {
        code: "internal".into(),
        detail: "the server has a problem of its own".into(),
        retryable: false,
        json: r#"{"code":"internal","detail":"the server has a problem of its own","retryable":false}"#.into(),
    };
    let reconnect_after = PAUSE;
    let bye = Frame::Bye { reason: "internal".into(), reconnect_after };
    let [problem, bye] = [frame_json(&problem, Some("0")), frame_json(&bye, None)];
    let error = follow(client, &[ready(), live(), problem.clone(), bye], 4500).await;
    assert!(error.is_none(), "{error:?}");
    // A subscription that is refused for now, on a socket that stays open.
    let error = follow(client, &[problem], 1000).await;
    assert!(error.is_none(), "{error:?}");
}
