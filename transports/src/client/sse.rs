//! Reads frames from an SSE stream.

use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::transport::Frame;
use downlink::{Error, ErrorKind, Result, Subscribe};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use tokio::time::timeout;

use super::connect_options::ConnectOptions;
use super::event_stream::{EventStream, StreamEvent};
use super::failure::Failure;
use super::http_connection::{HttpConnection, within};
use super::reconnect_delay::ServerDelay;
use super::request::{self, LAST_EVENT_ID, Target};
use super::silence_limit::SilenceLimit;
use crate::wire::{parse_envelope, parse_frame};

pub(super) async fn open(
    options: &ConnectOptions,
    subscribe: &Subscribe,
) -> Result<Frames, Failure> {
    let target = options.target()?;
    let filter = request::filter_query(subscribe.filter())?;
    let (cursor, after) = request::encode_after(subscribe.after());
    let path = target.path("/feed", &[filter, after]);
    let events = SseReader::open(options, &target, &path, cursor).await?;
    Ok(Frames { events, has_ended: false })
}

fn is_event_stream(answer: &http::response::Parts) -> bool {
    let content_type = answer.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    answer.status == http::StatusCode::OK && content_type.starts_with(b"text/event-stream")
}

/// The frames of one stream, as they were sent.
#[derive(Debug)]
pub(super) struct Frames {
    events: SseReader,
    has_ended: bool,
}

impl Frames {
    pub(super) fn server_delay(&self) -> ServerDelay {
        self.events.server_delay()
    }

    pub(super) async fn next(&mut self) -> Option<Result<Frame, Failure>> {
        if self.has_ended {
            return None;
        }
        let next = self.try_next().await.transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        if let Some(Ok(Frame::Ready { heartbeat, .. })) = &next {
            self.events.expect_every(*heartbeat);
        }
        next.map(|next| next.map_err(Failure::from))
    }

    async fn try_next(&mut self) -> Result<Option<Frame>> {
        while let Some(event) = self.events.next().await? {
            if let Some(frame) = frame_of(event)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}

/// The events of one SSE stream.
#[derive(Debug)]
pub(super) struct SseReader {
    connection: HttpConnection,
    stream: EventStream,
    /// What was received and not parsed yet.
    chunk: Bytes,
    silence_limit: SilenceLimit,
}

impl SseReader {
    /// Requests the stream at this path, after this id.
    pub(super) async fn open(
        options: &ConnectOptions,
        target: &Target,
        path: &str,
        last_event_id: Option<HeaderValue>,
    ) -> Result<Self, Failure> {
        let mut request = options.request(target, path)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last_event_id {
            request.headers_mut().insert(LAST_EVENT_ID, id);
        }
        let mut connection = HttpConnection::handshake(options.connect(target).await?).await?;
        let parts = within(options.answer_deadline, connection.send(request)).await?;
        if is_event_stream(&parts) {
            return Ok(Self {
                connection,
                stream: EventStream::with_limit(options.event_limit),
                chunk: Bytes::new(),
                silence_limit: options.silence_limit(),
            });
        }
        let body = connection.refusal_body(options.answer_deadline).await;
        Err(Failure::from_answer(&parts, &body, "not an event stream"))
    }

    pub(super) fn server_delay(&self) -> ServerDelay {
        self.stream.retry().map_or(ServerDelay::Unspecified, ServerDelay::Exactly)
    }

    pub(super) fn expect_every(&mut self, heartbeat: Option<Duration>) {
        self.silence_limit.expect_every(heartbeat);
    }

    /// The next event; `None` at the end of the stream.
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    pub(super) async fn next(&mut self) -> Result<Option<StreamEvent>> {
        loop {
            if let Some(event) = self.parse()? {
                return Ok(Some(event));
            }
            match self.read().await? {
                Some(chunk) => self.chunk = chunk,
                None if self.stream.is_inside_an_event() => {
                    return Err(unavailable("the connection ended inside a frame"));
                }
                None => return Ok(None),
            }
        }
    }

    fn parse(&mut self) -> Result<Option<StreamEvent>> {
        let mut rest = &self.chunk[..];
        let event = self.stream.next(&mut rest);
        let read = self.chunk.len() - rest.len();
        self.chunk.advance(read);
        event
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.connection.chunk();
        match self.silence_limit.get() {
            Some(limit) => timeout(limit, chunk)
                .await
                .map_err(|_| unavailable(&format!("the server was silent for {limit:?}")))?,
            None => chunk.await,
        }
    }
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

fn frame_of(event: StreamEvent) -> Result<Option<Frame>> {
    let frame = match &*event.event {
        "" => Some(parse_envelope(event.data)?),
        name if name.starts_with("feed.") => parse_frame(&event.data)?,
        _ => None,
    };
    if let Some(cursor) = frame.as_ref().and_then(Frame::cursor)
        && event.last_event_id != cursor.to_string()
    {
        let message =
            format!("the id '{}' is not the frame's cursor {cursor}", event.last_event_id);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(frame)
}
