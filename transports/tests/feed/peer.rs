//! A WebSocket client that reads and writes raw bytes.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tower::ServiceExt;

use crate::support::from_here;

/// The key in the example of RFC 6455, and the value that accepts it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What was received.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Text(String),
    Ping,
    Pong(Vec<u8>),
    Close(u16),
    /// The end of the connection.
    End,
}

pub(crate) struct Peer<T = DuplexStream> {
    io: T,
    /// The payload of the last ping.
    ping: Vec<u8>,
}

/// A connection within the process, so that time can be paused. It buffers this
/// many unread bytes.
fn connect(router: Router, buffer: usize) -> DuplexStream {
    let (ours, theirs) = duplex(buffer);
    let service = service_fn(move |request| router.clone().oneshot(from_here(request)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
    tokio::spawn(async { connection.with_upgrades().await.unwrap() });
    ours
}

/// The headers of a browser's upgrade request.
pub(crate) const UPGRADE_HEADERS: [(&str, &str); 5] = [
    ("Host", "localhost"),
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
];

async fn ask<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> String {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let request = format!("{method} {uri} HTTP/1.1\r\n{headers}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(io.read_u8().await.unwrap().into());
    }
    head
}

/// Sends a request that must not be upgraded. Returns the head of the response, in
/// lower case, and the body.
pub(crate) async fn refused(
    router: &Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> (String, String) {
    let mut io = connect(router.clone(), 1 << 16);
    let head = ask(&mut io, method, uri, headers).await.to_lowercase();
    assert!(!head.starts_with("http/1.1 101"), "{head}");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let length = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    io.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

impl Peer {
    /// Opens a socket within the process, over a connection that buffers this many
    /// bytes.
    pub(crate) async fn open_with(router: &Router, uri: &str, buffer: usize) -> Self {
        Self::upgrade(connect(router.clone(), buffer), uri, &UPGRADE_HEADERS).await.0
    }

    pub(crate) async fn open(router: &Router, uri: &str) -> Self {
        Self::open_with(router, uri, 1 << 20).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Peer<T> {
    /// Upgrades an open connection; panics if that is refused.
    pub(crate) async fn upgrade(mut io: T, uri: &str, headers: &[(&str, &str)]) -> (Self, String) {
        let head = ask(&mut io, "GET", uri, headers).await.to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains(&ACCEPT.to_lowercase()), "{head}");
        (Self { io, ping: Vec::new() }, head)
    }

    /// Sends raw bytes.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Sends a masked frame.
    pub(crate) async fn frame(&mut self, is_last: bool, opcode: u8, payload: &[u8]) {
        let first = if is_last { FIN | opcode } else { opcode };
        self.raw(&frame(first, payload)).await;
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.frame(true, TEXT, text.as_bytes()).await;
    }

    pub(crate) async fn ping(&mut self, payload: &[u8]) {
        self.frame(true, PING, payload).await;
    }

    /// Answers the last ping.
    pub(crate) async fn pong(&mut self) {
        let payload = self.ping.clone();
        self.frame(true, PONG, &payload).await;
    }

    pub(crate) async fn close(&mut self, code: u16) {
        self.frame(true, CLOSE, &code.to_be_bytes()).await;
    }

    pub(crate) async fn subscribe(&mut self, sub: &str, after: &str, filter: Value) {
        let frame = json!({"frame": "subscribe", "sub": sub, "after": after, "filter": filter});
        self.send(&frame.to_string()).await;
    }

    /// Receives the next frame. Frames of servers are final and not masked.
    pub(crate) async fn receive(&mut self) -> Received {
        let Ok(first) = self.io.read_u8().await else { return Received::End };
        assert_eq!(first & 0xf0, FIN, "a frame is not final: {first:#x}");
        let payload = self.payload().await;
        match first & 0x0f {
            TEXT => Received::Text(String::from_utf8(payload).unwrap()),
            CLOSE => Received::Close(u16::from_be_bytes([payload[0], payload[1]])),
            PING => {
                self.ping = payload;
                Received::Ping
            }
            PONG => Received::Pong(payload),
            opcode => panic!("a feed never sends this opcode: {opcode}"),
        }
    }

    async fn payload(&mut self) -> Vec<u8> {
        let len = match self.io.read_u8().await.unwrap() {
            127 => self.io.read_u64().await.unwrap(),
            126 => self.io.read_u16().await.unwrap().into(),
            len => len.into(),
        };
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.io.read_exact(&mut payload).await.unwrap();
        payload
    }

    /// Receives a large text message in pieces, with a pause after each.
    pub(crate) async fn read_slowly(&mut self, piece: usize, pause: Duration) -> String {
        assert_eq!(self.io.read_u16().await.unwrap(), 0x817f, "a large text message");
        let len = usize::try_from(self.io.read_u64().await.unwrap()).unwrap();
        let mut payload = vec![0; len];
        for piece in payload.chunks_mut(piece) {
            self.io.read_exact(piece).await.unwrap();
            tokio::time::sleep(pause).await;
        }
        String::from_utf8(payload).unwrap()
    }

    /// Receives a text message.
    pub(crate) async fn text(&mut self) -> String {
        match self.receive().await {
            Received::Text(text) => text,
            other => panic!("{other:?} instead of a text message"),
        }
    }

    /// Receives a text message, which must be this frame.
    pub(crate) async fn expect(&mut self, frame: &str) -> Value {
        let text = self.text().await;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["frame"], frame, "{text}");
        value
    }

    /// Receives a text message, which must be a problem with this code.
    pub(crate) async fn problem(&mut self, code: &str) -> Value {
        let frame = self.expect("problem").await;
        let problem = &frame["problem"];
        assert_eq!(problem["code"], code, "{frame}");
        assert_eq!(problem["type"], format!("urn:downlink:problem:{code}"));
        assert!(problem["status"].is_null(), "{frame}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{frame}");
        frame
    }

    /// Receives `count` events of a subscription, in any number of messages, and
    /// returns their cursors.
    pub(crate) async fn cursors(&mut self, sub: &str, count: usize) -> Vec<String> {
        let mut cursors = Vec::new();
        while cursors.len() < count {
            let frame = self.expect("events").await;
            assert_eq!(frame["sub"], sub, "{frame}");
            cursors.extend(frame["events"].as_array().unwrap().iter().map(cursor));
        }
        assert_eq!(cursors.len(), count);
        cursors
    }

    /// Expects this close frame, answers it, and expects the end.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        assert_eq!(self.receive().await, Received::Close(code));
        self.close(code).await;
        assert_eq!(self.receive().await, Received::End);
    }
}

pub(crate) fn cursor(event: &Value) -> String {
    event["cursor"].as_str().unwrap().to_owned()
}

/// A masked frame, as clients send them.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..126 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ ..65_536 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend(u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
