//! What answers in place of a feed neither ends a client that has reached the feed
//! before, nor keeps another one waiting for a feed that is not there.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

#[path = "support/gateway.rs"]
mod gateway;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use downlink::transport::{Endpoint, Frame};
use downlink::{ErrorKind, Expected, Hub, NewEvent, Subscribe};
use downlink_transports::client::{Client, Fallback, Follow, TransportKind};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use downlink_transports::wire::{Code, Problem};
use futures::StreamExt;
use gateway::Gateway;
use support::{listener, soon};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(20);

struct Behind {
    hub: Hub,
    gateway: Gateway,
    _server: CancellationToken,
}

impl Behind {
    /// A feed with one event, behind a gateway that passes everything on.
    async fn start() -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let (listener, address) = listener().await;
        let shutdown = CancellationToken::new();
        let serving = Server::new(Feed::new(&hub).router()).serve(listener, shutdown.clone());
        tokio::spawn(serving);
        let behind = Self { hub, gateway: Gateway::start(address).await, _server: shutdown };
        behind.append().await;
        behind
    }

    async fn append(&self) {
        let event = NewEvent::json("FlightDelayed", "{}").unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    fn follow(&self, transport: impl Into<Fallback>) -> Follow {
        client(self.gateway.address).with_transport(transport).follow(Subscribe::new()).unwrap()
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(Endpoint::new(format!("http://{address}")))
        .with_reconnect_delay(PAUSE..=PAUSE * 2)
        .with_max_server_delay(PAUSE * 4)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn html(status: &str) -> String {
    answer(status, "Content-Type: text/html\r\n", "<html>no feed here</html>")
}

fn redirect(status: &str) -> String {
    html(status).replace("Content-Type", "Location: https://portal.example/login\r\nContent-Type")
}

/// What proxies, firewalls and captive portals answer.
fn intermediaries() -> Vec<String> {
    let json = "Content-Type: application/json\r\n";
    let stream = "Content-Type: text/event-stream\r\n";
    let problem = "Content-Type: application/problem+json\r\n";
    let foreign = r#"{"type":"about:blank","code":"forbidden","detail":"d","retryable":false}"#;
    let lost = Problem::new(Code::Forbidden, "an answer of a feed, but not as one").to_json();
    let second = Problem::new(Code::Forbidden, "d").to_json().replace("forbidden\",\"t", "x\",\"t");
    vec![
        html("404 Not Found"),
        answer("404 Not Found", "", ""),
        html("403 Forbidden"),
        answer("401 Unauthorized", "", ""),
        html("400 Bad Request"),
        html("407 Proxy Authentication Required"),
        html("410 Gone"),
        html("451 Unavailable For Legal Reasons"),
        redirect("301 Moved Permanently"),
        redirect("302 Found"),
        redirect("307 Temporary Redirect"),
        redirect("308 Permanent Redirect"),
        html("200 OK"),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        answer("200 OK", json, r#"{"status":"maintenance"}"#),
        answer("200 OK", json, "[]"),
        answer("200 OK", stream, "data: not an event of a feed\n\n"),
        answer("200 OK", stream, "event: feed.live\ndata: {}\n\n"),
        answer("403 Forbidden", problem, foreign),
        answer("403 Forbidden", problem, &second),
        answer("403 Forbidden", json, &lost),
        answer("403 Forbidden", problem, &lost[..lost.len() - 1]),
        html("502 Bad Gateway"),
    ]
}

fn transports() -> Vec<Fallback> {
    vec![
        TransportKind::Sse.into(),
        TransportKind::LongPoll.into(),
        TransportKind::WebSocket.into(),
        Fallback::all(),
        Fallback::from(TransportKind::Sse).or(TransportKind::LongPoll),
    ]
}

async fn next_event(follow: &mut Follow, what: &str) -> u64 {
    loop {
        match soon(what, follow.next()).await.unwrap() {
            Ok(Frame::Event { event, .. }) => return event.version().get(),
            Ok(_) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_intermediaries_answer_passes_once_the_feed_was_ready() {
    let behind = Behind::start().await;
    for transport in transports() {
        let mut follow = behind.follow(transport.clone());
        let mut version = 1;
        let events = behind.hub.head().await.unwrap().position().get();
        for _ in 0..events {
            version = next_event(&mut follow, "the events so far").await;
        }
        for answer in intermediaries() {
            let what = format!("{transport:?} after {answer:?}");
            behind.gateway.answer(&*answer);
            tokio::select! {
                () = behind.gateway.has_answered(3) => {}
                version = next_event(&mut follow, &what) => panic!("event {version}: {what}"),
            }
            behind.gateway.pass();
            behind.append().await;
            version += 1;
            assert_eq!(next_event(&mut follow, &what).await, version, "{what}");
        }
    }
}

#[tokio::test]
async fn before_ready_they_are_errors_that_say_what_is_wrong() {
    let behind = Behind::start().await;
    for transport in transports() {
        for answer in intermediaries() {
            if answer.contains(" 502 ") {
                continue;
            }
            let what = format!("{transport:?} after {answer:?}");
            behind.gateway.answer(&*answer);
            let mut follow = behind.follow(transport.clone());
            let error = soon(&what, follow.next()).await.unwrap().expect_err(&what);
            let kinds = [ErrorKind::Invalid, ErrorKind::Corrupt];
            assert!(kinds.contains(&error.kind()), "{error:?}: {what}");
            if answer.contains("Location: ") {
                assert!(error.to_string().contains("https://portal.example/login"), "{error}");
            }
            assert!(follow.next().await.is_none(), "nothing follows an error: {what}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_feed_ends_a_client_whenever_it_comes() {
    let behind = Behind::start().await;
    for transport in transports() {
        for code in [Code::Forbidden, Code::Unauthenticated, Code::CursorAhead, Code::NotFound] {
            let what = format!("{transport:?} after {code}");
            let mut follow = behind.follow(transport.clone());
            next_event(&mut follow, &what).await;
            let problem = Problem::new(code, "why");
            let status = problem.status().to_string();
            let headers = "Content-Type: application/problem+json; charset=utf-8\r\n";
            behind.gateway.answer(answer(&status, headers, &problem.to_json()));
            let error = loop {
                if let Err(error) = soon(&what, follow.next()).await.expect(&what) {
                    break error;
                }
            };
            assert_eq!(error.kind(), code.error_kind(), "{error}: {what}");
            assert!(error.to_string().contains("why"), "{error}: {what}");
            behind.gateway.pass();
        }
    }
}
