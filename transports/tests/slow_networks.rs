//! Connections on which bytes flow slowly or pause: silence ends them, slowness does
//! not.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

#[cfg(feature = "websocket")]
#[path = "support/handshake.rs"]
mod handshake;
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use downlink::event::Timestamp;
use downlink::transport::{Endpoint, Frame};
use downlink::{Cursor, Error, ErrorKind, Event, NewEvent, Position, Subscribe, Version};
use downlink_transports::client::{Client, TransportKind};
use downlink_transports::wire::{self, frame_block, frame_json, sse_block};
use futures::StreamExt;
use support::{Raw, listener, soon};
use tokio::time::sleep;

/// The heartbeats of these servers. Two and a half of them are the default limit.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Longer than that limit, and than the deadline of answers below.
const PAUSE: Duration = Duration::from_millis(800);

fn event(bytes: usize) -> Event {
    let content = NewEvent::json("Photo", format!("\"{}\"", "x".repeat(bytes))).unwrap();
    let (position, stream) = (Position::new(1).unwrap(), "gate-C71".try_into().unwrap());
    Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content)
}

fn ready() -> Frame {
    let (cursor, heartbeat) = (Cursor::START, Some(HEARTBEAT));
    Frame::Ready { cursor, head: cursor, heartbeat }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn client(address: SocketAddr, transport: TransportKind) -> Client {
    Client::new(Endpoint::new(format!("http://{address}")))
        .with_transport(transport)
        .with_answer_deadline(HEARTBEAT)
}

/// The event of one connection to a server that writes these pieces with a pause
/// between two.
async fn read(
    client: impl FnOnce(SocketAddr) -> Client,
    pieces: Vec<Vec<u8>>,
    pause: Duration,
) -> Result<Event, Error> {
    let (listener, address) = listener().await;
    let server = async {
        let mut raw = Raw(soon("a connection", listener.accept()).await.unwrap().0);
        let request = raw.until("\r\n\r\n").await;
        accept(&mut raw, &request).await;
        for piece in pieces {
            // Fails once the client has given up.
            if tokio::io::AsyncWriteExt::write_all(&mut raw.0, &piece).await.is_err() {
                break;
            }
            sleep(pause).await;
        }
        std::future::pending::<()>().await;
    };
    let reader = async {
        let mut frames = client(address).connect(Subscribe::new()).await?;
        loop {
            match frames.next().await.expect("an event") {
                Ok(Frame::Event { event, .. }) => return Ok(event),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    };
    soon("an event", async {
        tokio::select! {
            () = server => unreachable!(),
            outcome = reader => outcome,
        }
    })
    .await
}

/// Answers a request for a WebSocket.
async fn accept(raw: &mut Raw, request: &str) {
    #[cfg(feature = "websocket")]
    if request.contains("sec-websocket-key") {
        raw.send(&handshake::accept(request)).await;
    }
    let _ = (raw, request);
}

/// A stream with this event in two halves, after its beginning.
fn stream(event: &Event) -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let block = text(&sse_block(event));
    halves([head, &text(&frame_block(&ready(), None)), &block].concat().into(), block.len() / 2)
}

fn envelope(event: &Event) -> String {
    text(&wire::envelope(event))
}

/// A page with this event in two halves.
fn page(event: &Event) -> Vec<Vec<u8>> {
    let envelope = envelope(event);
    let cursor = event.cursor();
    let body =
        format!(r#"{{"events":[{envelope}],"cursor":"{cursor}","head":"{cursor}","more":false}}"#);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    halves((head + &body).into(), length / 2)
}

/// A WebSocket with this event, whose message comes in two halves.
#[cfg(feature = "websocket")]
fn socket(event: &Event) -> Vec<Vec<u8>> {
    let ready = frame_json(&ready(), Some("0"));
    let envelope = envelope(event);
    let events = format!(r#"{{"frame":"events","sub":"0","events":[{envelope}]}}"#);
    let bytes = [handshake::message(&ready), handshake::message(&events)].concat();
    halves(bytes, events.len() / 2)
}

fn halves(mut bytes: Vec<u8>, second: usize) -> Vec<Vec<u8>> {
    let second = bytes.split_off(bytes.len() - second);
    vec![bytes, second]
}

fn transports(event: &Event) -> Vec<(TransportKind, Vec<Vec<u8>>)> {
    vec![
        (TransportKind::Sse, stream(event)),
        (TransportKind::LongPoll, page(event)),
        #[cfg(feature = "websocket")]
        (TransportKind::WebSocket, socket(event)),
    ]
}

#[tokio::test]
async fn a_longer_read_stall_timeout_than_the_default_is_honoured() {
    let event = event(100);
    for (transport, pieces) in transports(&event) {
        let by_default = |address| client(address, transport);
        let error = read(by_default, pieces.clone(), PAUSE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{transport}: {error}");

        let patient = |address| by_default(address).with_read_stall_timeout(PAUSE * 30);
        assert_eq!(read(patient, pieces, PAUSE).await.unwrap(), event, "{transport}");
    }
}

#[tokio::test]
async fn an_answer_to_a_poll_may_be_late_by_that_time() {
    let event = event(100);
    let late = [vec![Vec::new()], page(&event)].concat();
    let patient =
        |address| client(address, TransportKind::LongPoll).with_read_stall_timeout(PAUSE * 30);
    assert_eq!(read(patient, late, PAUSE).await.unwrap(), event);
}

#[tokio::test]
async fn a_long_event_that_arrives_slowly_is_no_silence() {
    let event = event(20_000);
    let limit = HEARTBEAT * 25;
    for (transport, pieces) in transports(&event) {
        let pieces: Vec<_> = pieces.concat().chunks(500).map(<[u8]>::to_vec).collect();
        let began = Instant::now();
        let slow = |address| {
            client(address, transport).with_answer_deadline(limit).with_read_stall_timeout(limit)
        };
        // A fraction of the limit from piece to piece, and more than it in all.
        assert_eq!(read(slow, pieces, limit / 30).await.unwrap(), event, "{transport}");
        assert!(began.elapsed() > limit, "it was not slow: {:?}", began.elapsed());
    }
}
