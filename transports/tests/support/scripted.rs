//! Servers without sockets that give scripted answers, for tests on a paused clock.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part, and panics are failures"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{Cursor, ErrorKind, Subscribe};
use downlink_transports::client::{Client, Connector, Fallback, IoStream};
use downlink_transports::wire::{Code, Problem, frame_block};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{sleep, timeout};

/// Beyond this a loop is a busy loop.
const MAX_REQUESTS: usize = 10_000;

pub(crate) fn client(connector: impl Connector) -> Client {
    Client::new(Endpoint::new("http://localhost")).with_connector(connector)
}

/// A server that gives these answers in turn, and the last one to every further
/// request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted {
    answers: Vec<String>,
    closes: bool,
    /// What it goes on to send after an answer, without end, and how often.
    endless: Option<(String, Duration)>,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Scripted {
    /// Sends this again and again after each answer.
    pub(crate) fn with_endless(mut self, text: impl Into<String>, every: Duration) -> Self {
        self.endless = Some((text.into(), every));
        self
    }

    /// Gives this answer to the first request.
    pub(crate) fn with_first(mut self, answer: impl Into<String>) -> Self {
        self.answers.insert(0, answer.into());
        self
    }

    async fn serve(self, mut io: DuplexStream) -> io::Result<()> {
        loop {
            read_head(&mut io).await?;
            let number = self.requests.fetch_add(1, Ordering::SeqCst);
            if number > MAX_REQUESTS {
                // Ends a busy loop.
                std::future::pending::<()>().await;
            }
            let last = self.answers.len().saturating_sub(1);
            let answer = self.answers.get(number.min(last)).map_or("", String::as_str);
            io.write_all(answer.as_bytes()).await?;
            if self.closes || (last > 0 && number < last) {
                return Ok(());
            }
            if let Some((text, every)) = &self.endless {
                loop {
                    sleep(*every).await;
                    io.write_all(text.as_bytes()).await?;
                }
            }
        }
    }
}

#[async_trait]
impl Connector for Scripted {
    async fn connect(&self, _: &str, _: u16) -> io::Result<Box<dyn IoStream>> {
        let (near, far) = duplex(64 << 10);
        tokio::spawn(self.clone().serve(far));
        Ok(Box::new(near))
    }
}

pub(crate) fn script(answer: impl Into<String>, closes: bool) -> Scripted {
    let answers = vec![answer.into()];
    Scripted { answers, closes, ..Scripted::default() }
}

pub(crate) async fn read_head(io: &mut DuplexStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

pub(crate) fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{body}")
}

pub(crate) fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub(crate) fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")
}

pub(crate) fn problem(code: Code) -> String {
    let problem = Problem::new(code, "why");
    json(&problem.status().to_string(), &problem.to_json())
        .replace("application/json", "application/problem+json")
}

pub(crate) fn ready() -> String {
    let start = Cursor::START;
    let heartbeat = Some(Duration::from_secs(15));
    let ready = Frame::Ready { cursor: start, head: start, heartbeat };
    String::from_utf8(frame_block(&ready, None).to_vec()).unwrap()
}

pub(crate) fn page(events: &str, more: bool) -> String {
    let (start, body) = (Cursor::START, events);
    json(
        "200 OK",
        &format!(r#"{{"events":[{body}],"cursor":"{start}","head":"{start}","more":{more}}}"#),
    )
}

/// How many requests a follower sends in ten minutes, and the error that ended it.
pub(crate) async fn ten_minutes(
    script: Scripted,
    transport: impl Into<Fallback>,
) -> (usize, Option<ErrorKind>) {
    let mut follow =
        client(script.clone()).with_transport(transport).follow(Subscribe::new()).unwrap();
    let ended = timeout(Duration::from_mins(10), async {
        loop {
            match follow.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.kind(),
                None => panic!("it ended without an error"),
            }
        }
    });
    let ended = ended.await.ok();
    (script.requests.load(Ordering::SeqCst), ended)
}
