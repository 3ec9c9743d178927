//! Frames out of an event stream.

use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::{Error, ErrorKind, Frame, Result, Subscribe};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use tokio::time::timeout;

use super::client::Client;
use super::event_stream::{EventStream, StreamEvent};
use super::exchange::{Exchange, within};
use super::failure::Failure;
use super::pauses::Told;
use super::request::{self, LAST_EVENT_ID};
use crate::wire::parse;

/// How often a feed gives a sign of life before it says how often.
const UNTOLD_HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn open(client: &Client, subscribe: &Subscribe) -> Result<Frames, Failure> {
    let target = client.target()?;
    let filter = request::filter_query(subscribe.wanted())?;
    let (cursor, after) = request::beginning(subscribe.begins_after());
    let mut request = client.request(&target, &target.path("/feed", &[filter, after]))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(cursor) = cursor {
        request.headers_mut().insert(LAST_EVENT_ID, cursor);
    }
    let mut exchange = Exchange::over(client.dial(&target).await?).await?;
    let parts = within(client.answer_deadline, exchange.ask(request)).await?;
    if is_event_stream(&parts) {
        return Ok(Frames::new(exchange, client.event_limit));
    }
    let why = exchange.explanation(client.answer_deadline).await;
    Err(Failure::refused(&parts, &why, "no event stream"))
}

fn is_event_stream(answer: &http::response::Parts) -> bool {
    let content_type = answer.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    answer.status == http::StatusCode::OK && content_type.starts_with(b"text/event-stream")
}

/// The frames of one stream, as they were sent.
#[derive(Debug)]
pub(super) struct Frames {
    exchange: Exchange,
    stream: EventStream,
    piece: Bytes,
    heartbeat: Option<Duration>,
    is_over: bool,
}

impl Frames {
    fn new(exchange: Exchange, event_limit: usize) -> Self {
        Self {
            exchange,
            stream: EventStream::with_limit(event_limit),
            piece: Bytes::new(),
            heartbeat: Some(UNTOLD_HEARTBEAT),
            is_over: false,
        }
    }

    pub(super) fn told(&self) -> Told {
        self.stream.retry().map_or(Told::Nothing, Told::This)
    }

    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        if self.is_over {
            return None;
        }
        let next = self.try_next().await.transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        if let Some(Ok(Frame::Ready { heartbeat, .. })) = &next {
            self.heartbeat = *heartbeat;
        }
        next
    }

    async fn try_next(&mut self) -> Result<Option<Frame>> {
        loop {
            while let Some(event) = self.parse()? {
                if let Some(frame) = read(event)? {
                    return Ok(Some(frame));
                }
            }
            match self.chunk().await? {
                Some(chunk) => self.piece = chunk,
                None if self.stream.is_inside_an_event() => {
                    return Err(ended("the connection ended inside a frame"));
                }
                None => return Ok(None),
            }
        }
    }

    fn parse(&mut self) -> Result<Option<StreamEvent>> {
        let mut rest = &self.piece[..];
        let event = self.stream.next(&mut rest);
        let read = self.piece.len() - rest.len();
        self.piece.advance(read);
        event
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.exchange.chunk();
        match self.heartbeat {
            // Two heartbeats missed, and half of one for the way.
            Some(heartbeat) => timeout(heartbeat * 5 / 2, chunk)
                .await
                .map_err(|_| ended("the server gave no sign of life for two heartbeats"))?,
            None => chunk.await,
        }
    }
}

fn ended(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

fn read(event: StreamEvent) -> Result<Option<Frame>> {
    let frame = match &*event.event {
        "" => Some(parse::envelope(event.data)?),
        name if name.starts_with("feed.") => parse::frame(&event.data)?,
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
