use std::time::{Duration, Instant};

use downlink::EventId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Result;
use super::connection::Connection;
use super::protocol::Protocol;
use super::times::Times;

/// A client that appends one event at a time, and waits for the response and until a
/// second connection has received the event over SSE.
#[derive(Debug)]
pub(crate) struct Follower {
    appender: Connection,
    stream: String,
    events: EventStream,
    /// From the request to the response.
    pub(crate) to_response: Times,
    /// From the request to the event.
    pub(crate) to_event: Times,
    /// From the response to the event.
    pub(crate) after_response: Times,
}

#[derive(Debug)]
struct EventStream {
    stream: TcpStream,
    text: Vec<u8>,
}

impl Follower {
    pub(crate) async fn connect(authority: &str, protocol: Protocol, stream: &str) -> Result<Self> {
        Ok(Self {
            appender: Connection::open(authority, protocol).await?,
            stream: stream.to_owned(),
            events: EventStream::open(authority, protocol, stream).await?,
            to_response: Times::default(),
            to_event: Times::default(),
            after_response: Times::default(),
        })
    }

    pub(crate) async fn append(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.append_one().await?;
        }
        Ok(())
    }

    async fn append_one(&mut self) -> Result<()> {
        let id = EventId::now();
        let text = id.to_string();
        let sent = Instant::now();
        let append = self.appender.append(&self.stream, id);
        let response = async { append.await.map(|()| sent.elapsed()) };
        let read = self.events.read_until(text.as_bytes());
        let event = async { read.await.map(|at| at.duration_since(sent)) };
        let (responded, received) = tokio::try_join!(response, event)?;
        self.to_response.add(responded);
        self.to_event.add(received);
        self.after_response.add_difference(received, responded);
        Ok(())
    }
}

impl EventStream {
    async fn open(authority: &str, protocol: Protocol, stream: &str) -> Result<Self> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n\r\n",
            protocol.follow(stream)
        );
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let mut events = Self { stream, text: Vec::new() };
        events.stream.write_all(request.as_bytes()).await?;
        events.read_until(protocol.live()).await?;
        Ok(events)
    }

    /// Reads until this part has arrived, and returns the time of its arrival.
    async fn read_until(&mut self, part: &[u8]) -> Result<Instant> {
        self.text.clear();
        loop {
            if self.stream.read_buf(&mut self.text).await? == 0 {
                return Err(String::from_utf8_lossy(&self.text).into());
            }
            let now = Instant::now();
            if self.text.windows(part.len()).any(|bytes| bytes == part) {
                return Ok(now);
            }
        }
    }
}
