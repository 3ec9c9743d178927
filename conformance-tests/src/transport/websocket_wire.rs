use downlink::{Cursor, Expected};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TransportSetup;
use super::framing::forgeries;
use super::http;
use super::setup::TestServer;
use crate::{sample, tasks};

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xa;

/// The longest message with a run of events, in bytes.
const LONGEST_RUN: usize = (16 << 10) + 128;

/// What a server sends.
#[derive(Debug, PartialEq)]
enum Received {
    Text(String),
    Close(u16),
    /// The end of the connection.
    Nothing,
}

/// A minimal WebSocket client that shows the bytes.
struct Socket {
    stream: TcpStream,
}

impl Socket {
    async fn open(served: &TestServer, query: &str) -> Self {
        let headers: [(&str, &[u8]); 5] = [
            ("connection", b"Upgrade"),
            ("upgrade", b"websocket"),
            ("sec-websocket-version", b"13"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", b"feed.v1.json"),
        ];
        let mut stream = http::request(served.address, &format!("/feed/ws{query}"), &headers).await;
        let what = "a WebSocket handshake is not answered";
        let head = tasks::soon(what, http::head(&mut stream)).await;
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "a WebSocket handshake is refused: {head}");
        for header in [
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "sec-websocket-protocol: feed.v1.json",
        ] {
            assert!(
                head.contains(header),
                "the response lacks `{header}`, without which browsers fail: {head}"
            );
        }
        Self { stream }
    }

    /// Sends one masked frame.
    async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = vec![first];
        let len = u64::try_from(payload.len()).expect("a length");
        if let Ok(len @ ..126) = u8::try_from(len) {
            bytes.push(0x80 | len);
        } else {
            bytes.push(0xff);
            bytes.extend(len.to_be_bytes());
        }
        let mask = [1, 2, 3, 4];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // A server may close the connection before it has read all of a message that is too long.
        let _ = self.stream.write_all(bytes).await;
    }

    async fn send(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes()).await;
    }

    /// The next text message, or the end; answers pings.
    async fn receive(&mut self, what: &str) -> Received {
        tasks::soon(what, async {
            loop {
                let Ok(first) = self.stream.read_u8().await else { return Received::Nothing };
                let payload = self.payload().await;
                match first {
                    0x81 => {
                        let text = String::from_utf8(payload).expect("a text message is UTF-8");
                        return Received::Text(text);
                    }
                    0x88 if payload.len() >= 2 => {
                        return Received::Close(u16::from_be_bytes([payload[0], payload[1]]));
                    }
                    0x89 => self.frame(FIN | PONG, &payload).await,
                    0x8a => {}
                    _ => panic!("a server must send whole text frames only, and sent {first:#x}"),
                }
            }
        })
        .await
    }

    async fn payload(&mut self) -> Vec<u8> {
        let len = match self.stream.read_u8().await.expect("a length") {
            127 => self.stream.read_u64().await.expect("a length"),
            126 => self.stream.read_u16().await.expect("a length").into(),
            len => len.into(),
        };
        assert!(len < 1 << 31, "a server must not mask its frames, or a length is invalid");
        let mut payload = vec![0; usize::try_from(len).expect("a length")];
        self.stream.read_exact(&mut payload).await.expect("a whole frame");
        payload
    }

    /// The next text message, which has to begin with this text. Before it may come
    /// checkpoints, which come by time.
    async fn expect(&mut self, beginning: &str) -> String {
        loop {
            match self.receive(&format!("{beginning} did not come")).await {
                Received::Text(text) if text.starts_with(beginning) => return text,
                Received::Text(text) if is_timely_checkpoint(&text, beginning) => {}
                other => panic!("{other:?} came instead of {beginning}"),
            }
        }
    }
}

/// Whether a message is a checkpoint that may come before the expected one: any, except before
/// the `ready` of its own subscription.
fn is_timely_checkpoint(text: &str, expected: &str) -> bool {
    let Some(rest) = text.strip_prefix(r#"{"frame":"checkpoint","#) else { return false };
    let sub = rest.split(',').next().unwrap_or_default();
    !expected.starts_with(&format!(r#"{{"frame":"ready",{sub}"#))
}

/// **Law.** Every message is one whole text frame with one frame of the
/// contract. A run of events has the same bytes as a page, within its size
/// limit. `ready` comes first, and `live` when everything was delivered.
pub async fn messages_are_well_formed(setup: &TransportSetup) {
    let served = setup.open(&forgeries()).await;
    let mut socket = Socket::open(&served, "?after=start").await;
    socket.expect(r#"{"frame":"ready","sub":"0","cursor":"0000000000000000-00000000","#).await;
    let mut events = Vec::new();
    loop {
        let text = match socket.receive("`live` did not come").await {
            Received::Text(text) => text,
            other => panic!("a socket ended before it was live: {other:?}"),
        };
        assert!(!text.contains(['\r', '\n']), "a message has a line break: {text:?}");
        if text.starts_with(r#"{"frame":"live","sub":"0","#) {
            break;
        }
        let run = text.strip_prefix(r#"{"frame":"events","sub":"0","events":["#);
        let run = run.and_then(|rest| rest.strip_suffix("]}"));
        let run = run.unwrap_or_else(|| panic!("a message is not a run of events: {text}"));
        assert!(text.len() <= LONGEST_RUN, "a run of small events has {} bytes", text.len());
        events.push(run.to_owned());
    }
    let page = http::page(served.address, "/feed?limit=1000").await;
    let page = String::from_utf8(page.body).expect("a page is UTF-8");
    let expected =
        page.strip_prefix("{\"events\":[").and_then(|rest| rest.rsplit_once("],\"cursor\""));
    let (expected, _) = expected.unwrap_or_else(|| panic!("a page is not one: {page}"));
    assert!(
        events.join(",") == expected,
        "the events of a socket have other bytes than those of a page"
    );
}

/// **Law.** Each subscription of a socket has its own cursor and filter. One
/// that was unsubscribed sends nothing more, and its name is free again.
pub async fn subscriptions_of_a_socket_are_independent(setup: &TransportSetup) {
    let history = ["a", "b"].map(|stream| sample::append(stream, Expected::Any, 3));
    let served = setup.open(&history).await;
    let mut socket = Socket::open(&served, "").await;
    for (sub, members, events) in [
        ("one", r#""filter":{"stream":["a"]}"#, 3),
        ("two", r#""after":"last:2""#, 2),
        ("three", r#""after":"now""#, 0),
    ] {
        socket.send(&format!(r#"{{"frame":"subscribe","sub":"{sub}",{members}}}"#)).await;
        socket.expect(&format!(r#"{{"frame":"ready","sub":"{sub}","#)).await;
        let mut came = 0;
        loop {
            let text = socket.expect("{\"frame\":\"").await;
            assert!(
                text.contains(&format!(r#""sub":"{sub}""#)),
                "a frame is not of subscription {sub}: {text}"
            );
            if text.starts_with("{\"frame\":\"live\"") {
                break;
            }
            came += text.matches("{\"cursor\":\"").count();
        }
        assert!(came == events, "subscription `{sub}` has {came} events instead of {events}");
    }
    socket.send(r#"{"frame":"unsubscribe","sub":"two"}"#).await;
    socket.expect(r#"{"frame":"unsubscribed","sub":"two"}"#).await;
    served.append(sample::append("b", Expected::Any, 1)).await;
    let text = socket.expect("{\"frame\":\"").await;
    assert!(
        text.starts_with(r#"{"frame":"events","sub":"three","#),
        "`three` has to get an event, `one` does not match it, and `two` has ended: {text}"
    );
    socket.send(r#"{"frame":"subscribe","sub":"two","after":"now"}"#).await;
    let ready = socket.expect(r#"{"frame":"ready","sub":"two","#).await;
    let head = served.store.head().await.expect("a head");
    assert!(ready.contains(&format!("\"cursor\":\"{head}\"")), "`now` is not the head: {ready}");
}

/// **Law.** A malformed command is answered with a problem that names its
/// subscription or request, and the socket stays open; after sixteen in a row
/// it is closed with 4400. A message that is not text within the limits closes
/// it with its own code. A cursor of another history is refused.
pub async fn malformed_commands_are_refused(setup: &TransportSetup) {
    let served = setup.open(&[sample::append("f", Expected::Any, 3)]).await;
    let mut socket = Socket::open(&served, "").await;
    let other = Cursor::of(
        served.store.head().await.expect("a head").position(),
        downlink::EventId::from_bytes([7; 16]),
    );
    let other = format!(r#"{{"frame":"subscribe","sub":"s1","after":"{other}"}}"#);
    for (command, to, code) in [
        ("{", "", "invalid"),
        ("[]", "", "invalid"),
        (r#"{"frame":"fireworks","sub":"s1"}"#, r#""sub":"s1","#, "invalid"),
        (r#"{"frame":"ping","req":"p1","more":1}"#, r#""req":"p1","#, "invalid"),
        (r#"{"frame":"ping","req":"p 1"}"#, "", "bad-parameter"),
        (r#"{"frame":"subscribe","sub":"s1","after":"x"}"#, r#""sub":"s1","#, "bad-cursor"),
        (r#"{"frame":"subscribe","sub":"s1","filter":{"x":[]}}"#, r#""sub":"s1","#, "bad-filter"),
        (&other, r#""sub":"s1","#, "history-changed"),
    ] {
        socket.send(command).await;
        let problem = socket.expect(&format!(r#"{{"frame":"problem",{to}"problem":{{"#)).await;
        let code = format!("\"code\":\"{code}\"");
        assert!(problem.contains(&code), "{command} has to be refused with {code}: {problem}");
    }
    socket.send(r#"{"frame":"ping","req":"p1"}"#).await;
    socket.expect(r#"{"frame":"pong","req":"p1"}"#).await;
    for _ in 0..16 {
        socket.send("{").await;
        socket.expect("{\"frame\":\"problem\",").await;
    }
    expect_close(socket, 4400, "sixteen bad messages in a row").await;
    let long = vec![b' '; (256 << 10) + 1];
    for (first, payload, code, what) in [
        (FIN | BINARY, &b"x"[..], 1003, "a binary message"),
        (FIN | TEXT, b"\xff", 1007, "a text that is not UTF-8"),
        (FIN | TEXT, &long, 1009, "a message of more than 256 KiB"),
        (FIN | TEXT | 0x40, b"x", 1002, "a frame with a reserved bit"),
    ] {
        let mut socket = Socket::open(&served, "").await;
        socket.frame(first, payload).await;
        expect_close(socket, code, what).await;
    }
    let mut socket = Socket::open(&served, "").await;
    socket.raw(&[FIN | TEXT, 1, b'x']).await;
    expect_close(socket, 1002, "a frame that is not masked").await;
}

async fn expect_close(mut socket: Socket, code: u16, what: &str) {
    let received = socket.receive(&format!("a socket is not closed after {what}")).await;
    assert_eq!(
        received,
        Received::Close(code),
        "a socket has to be closed with {code} after {what}"
    );
    let end = socket.receive("a socket that sent a close frame stays open").await;
    assert_eq!(end, Received::Nothing, "something follows a close frame");
}

/// **Law.** A socket of a server that shuts down sends `bye` with a
/// reconnection delay, and is closed with 4503.
pub async fn a_drained_socket_ends_with_bye(setup: &TransportSetup) {
    let served = setup.open(&[sample::append("f", Expected::Any, 5)]).await;
    let mut socket = Socket::open(&served, "?after=now").await;
    socket.expect("{\"frame\":\"ready\",").await;
    socket.expect("{\"frame\":\"live\",").await;
    served.stop();
    let bye = socket.expect("{\"frame\":\"bye\",\"reason\":\"").await;
    let delay = bye.split("\"reconnect_after_ms\":").nth(1).and_then(|rest| rest.strip_suffix('}'));
    let delay = delay.and_then(|delay| delay.parse::<u32>().ok());
    assert!(
        delay.is_some_and(|delay| (100..=60_000).contains(&delay)),
        "`bye` has no reconnection delay: {bye}"
    );
    let close = socket.receive("a drained socket is not closed").await;
    assert_eq!(close, Received::Close(4503), "a drained socket has to be closed with 4503");
    socket.frame(FIN | CLOSE, &4503_u16.to_be_bytes()).await;
    let end = socket.receive("a socket whose close was answered stays open").await;
    assert_eq!(end, Received::Nothing, "something follows a close frame");
}
