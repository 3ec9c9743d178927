use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::{Error, ErrorKind, Frame, Result};
use futures::Stream;
use tokio::time::timeout;

use super::event_stream::{EventStream, StreamEvent};
use super::exchange::Exchange;
use crate::wire::parse;

/// How often a feed gives a sign of life before it says how often.
const UNTOLD_HEARTBEAT: Duration = Duration::from_secs(15);

/// The frames of one connection, as they were sent.
#[derive(Debug)]
pub(super) struct Frames {
    exchange: Exchange,
    stream: EventStream,
    piece: Bytes,
    heartbeat: Option<Duration>,
    is_over: bool,
}

impl Frames {
    pub(super) fn new(exchange: Exchange, event_limit: usize) -> Self {
        Self {
            exchange,
            stream: EventStream::with_limit(event_limit),
            piece: Bytes::new(),
            heartbeat: Some(UNTOLD_HEARTBEAT),
            is_over: false,
        }
    }

    /// The pause before a reconnect that the server asked for.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.stream.retry()
    }

    /// The next frame. After an error there is none.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost.
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

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Frame>> + Send + 'static {
        futures::stream::unfold(self, |mut frames| async {
            frames.next().await.map(|frame| (frame, frames))
        })
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
        let chunk = match self.heartbeat {
            // Two heartbeats missed, and half of one for the way.
            Some(heartbeat) => timeout(heartbeat * 5 / 2, chunk)
                .await
                .map_err(|_| ended("the server gave no sign of life for two heartbeats"))?,
            None => chunk.await,
        };
        chunk.map_err(|error| {
            let message = format!("the connection broke: {error}");
            Error::with_source(ErrorKind::Unavailable, message, error)
        })
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
