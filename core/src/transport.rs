//! The contract of a transport, which carries the log over a network.
#![doc = include_str!("own_transport.md")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::Event;
use crate::hub::{Hub, Subscribe};

/// Carries a hub's log over a network, both ends of it.
///
/// This is the contract of a transport: what the conformance suite and transports
/// of other people use. Applications serve all transports by one router instead,
/// which `serve` wraps.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. **The same sequence.** For the same log, cursor and filter every transport
///    delivers the same events, cursors and envelope bytes
///    \[`delivers_the_log_in_order`\].
/// 2. **Exact resume.** A client that was cut off after any byte and resumes
///    from its last complete frame has no gap and no repeat
///    \[`resumes_after_a_cut_at_every_byte`\].
/// 3. **Any cursor** has an answer: served, or refused with its reason
///    \[`resumes_from_any_id`\].
/// 4. **Filters** act on the server and commute with resuming
///    \[`filter_and_resume_commute`\].
/// 5. **The cursor moves** also when nothing matches
///    \[`the_cursor_moves_without_matches`\].
/// 6. **Framing is injective:** no payload forges a frame
///    \[`no_payload_forges_a_frame`\].
/// 7. **Order of frames:** `Ready (Event|Checkpoint)* Live
///    (Event|Checkpoint|Behind …)*`, heartbeats anywhere
///    \[`frames_come_in_order`\].
/// 8. **What won is what comes:** of appends that race for one version, clients
///    get the event of the winner and nothing of the losers
///    \[`one_writer_wins_and_is_seen`\].
/// 9. **Other histories are told,** also to who is connected: by `Reset`, after
///    which nothing follows \[`a_running_server_reports_a_restore`\].
/// 10. **Signs of life** move no cursor \[`heartbeats_move_nothing`\], and a
///     server that gives none is left \[`a_client_leaves_a_silent_server`\].
/// 11. **A client that never reads** costs bounded memory and nobody else's
///     time, is let go, and resumes exactly
///     \[`a_client_that_never_reads_is_disconnected`\].
/// 12. **A drain** ends every stream in time and between two frames, and the
///     next process resumes exactly
///     \[`a_drain_ends_every_stream_between_two_frames`\].
/// 13. **Clients that go away** leave nothing behind
///     \[`a_client_that_goes_away_leaves_nothing`\].
/// 14. **Proxies** that hold bytes back delay, and lose nothing
///     \[`a_proxy_that_holds_bytes_back_only_delays`\].
/// 15. **Transports are one:** they deliver the same bytes
///     \[`all_transports_deliver_the_same`\], and a client may change from one to
///     another with its cursor \[`a_client_may_switch_transports`\].
/// 16. **Rights** that shrank hide in a replay what they hide live
///     \[`a_replay_hides_what_live_hides`\].
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The transport's name, as in `sse`.
    fn name(&self) -> &'static str;

    /// Serves the hub's log on this listener until `shutdown`, and then lets
    /// every open stream end in good order.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if it refuses to serve there,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the listener fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every connection at once.
    async fn serve(
        &self,
        hub: Hub,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()>;

    /// Opens one connection and yields its frames until it ends. It neither
    /// reconnects nor skips: what it yields is what was sent.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a refused resume,
    /// [`Invalid`](crate::ErrorKind::Invalid) for a refused request,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if there is no connection. The stream ends
    /// with an error if the connection does not end between two frames.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream closes the connection.
    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    async fn serve(
        &self,
        hub: Hub,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        (**self).serve(hub, listener, shutdown).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        (**self).connect(endpoint, subscribe).await
    }
}

/// Where a feed is served: the URL of its router's root, such as
/// `http://127.0.0.1:3000/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The endpoint with this URL; a slash at its end is left out.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let mut url = url.into();
        url.truncate(url.trim_end_matches('/').len());
        Self(url)
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One frame of a feed: an event, or news about the subscription or the
/// connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    /// The subscription is open. The first frame.
    Ready {
        /// The cursor after which the subscription resumes.
        cursor: Cursor,
        /// The end of the log when the subscription was opened.
        head: Cursor,
        /// How often the server sends a heartbeat, if it does.
        heartbeat: Option<Duration>,
    },
    /// An event that matches the filter.
    Event {
        /// The event, read from its envelope.
        event: Event,
        /// The envelope, byte for byte.
        envelope: Bytes,
    },
    /// The log was scanned up to this cursor, and nothing matched.
    Checkpoint {
        /// The end of the scan.
        cursor: Cursor,
    },
    /// Everything up to a head read after [`Ready`](Self::Ready) was delivered.
    Live {
        /// The subscription's cursor.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
    /// The subscription fell behind the cached tail and reads from the store again.
    Behind {
        /// The subscription's cursor.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
    /// The log was replaced by another one. The last frame.
    Reset {
        /// `history-changed` or `cursor-ahead`.
        reason: String,
        /// The end of the new log.
        head: Cursor,
    },
    /// The server is alive.
    Heartbeat {
        /// The end of the log.
        head: Cursor,
    },
    /// The server ends the connection.
    Bye {
        /// The reason, in one word.
        reason: String,
        /// How long to wait before reconnecting.
        reconnect_after: Duration,
    },
    /// Something went wrong. The connection ends if it carries nothing else.
    Problem {
        /// The code, as in `bad-filter`.
        code: String,
        /// What happened, and what to do.
        detail: String,
        /// Whether the same request may succeed later.
        retryable: bool,
        /// The whole problem document as JSON, byte for byte.
        json: Bytes,
    },
}

impl Frame {
    /// The cursor to resume after this frame; `None` if the frame does not move
    /// it.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Event { event, .. } => Some(event.cursor()),
            Self::Ready { cursor, .. }
            | Self::Checkpoint { cursor }
            | Self::Live { cursor, .. }
            | Self::Behind { cursor, .. } => Some(*cursor),
            Self::Reset { .. }
            | Self::Heartbeat { .. }
            | Self::Bye { .. }
            | Self::Problem { .. } => None,
        }
    }
}
