use downlink::transport::Frame;
use downlink::{After, Cursor};
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::frames::Frames;
use super::token::TokenReason;

/// A connection that a feed accepted, and how it fares.
pub(super) struct ActiveConnection {
    pub(super) frames: Frames,
    pub(super) opened_at: Instant,
    pub(super) is_ready: bool,
    /// Whether it delivered anything.
    pub(super) is_productive: bool,
    /// Why the client asked for the token that it was opened with.
    pub(super) token_reason: TokenReason,
    /// When it has to be ready.
    ready_by: Instant,
}

pub(super) enum ConnectionEvent {
    Frame(Option<Result<Frame, Failure>>),
    NotReadyInTime,
}

impl ActiveConnection {
    pub(super) fn new(frames: Frames, token_reason: TokenReason, ready_by: Instant) -> Box<Self> {
        Box::new(Self {
            frames,
            opened_at: Instant::now(),
            is_ready: false,
            is_productive: false,
            token_reason,
            ready_by,
        })
    }

    pub(super) async fn event(&mut self) -> ConnectionEvent {
        let frame = if self.is_ready {
            Ok(self.frames.next().await)
        } else {
            timeout_at(self.ready_by, self.frames.next()).await
        };
        frame.map_or(ConnectionEvent::NotReadyInTime, ConnectionEvent::Frame)
    }
}

/// Whether a connection that is ready at this cursor would skip events, as if it
/// were that of another client.
pub(super) fn skips_events(ready: Cursor, requested: After) -> bool {
    match requested {
        After::Start => ready > Cursor::START,
        After::Cursor(cursor) => ready > cursor,
        _ => false,
    }
}
