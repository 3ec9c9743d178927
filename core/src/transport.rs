//! The contract of a transport, which delivers the log over a network.
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

/// Delivers a hub's log over a network: both the server and the client side.
///
/// The conformance suite and third-party transports use this trait.
/// Applications serve all transports with one router.
/// [`Transport::serve`](Self::serve) wraps that router for tests.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. **The same sequence.** For the same log, cursor and filter every transport
///    delivers the same events, cursors and envelope bytes
///    \[`delivers_the_log_in_order`\].
/// 2. **Exact resume.** A client whose connection was cut after any byte, and
///    that resumes from its last complete frame, sees no gap and no repetition
///    \[`resumes_after_a_cut_at_every_byte`\].
/// 3. **Every cursor gets an answer:** it is served, or refused with a reason
///    \[`resumes_from_any_id`\].
/// 4. **Filters** are applied on the server and commute with resuming
///    \[`filter_and_resume_commute`\].
/// 5. **The cursor moves** even if nothing matches
///    \[`the_cursor_moves_without_matches`\].
/// 6. **Framing is injective:** no payload can forge a frame
///    \[`no_payload_forges_a_frame`\].
/// 7. **Order of frames:** `Ready (Event|Checkpoint)* Live
///    (Event|Checkpoint|Behind …)*`, heartbeats anywhere
///    \[`frames_come_in_order`\].
/// 8. **Only winners are delivered:** of appends that race for one version,
///    clients receive the winner's event and nothing from the losers
///    \[`one_writer_wins_and_is_seen`\].
/// 9. **A changed history is reported,** also to connected clients: by `Reset`,
///    after which nothing follows \[`a_running_server_reports_a_restore`\].
/// 10. **Heartbeats** move no cursor \[`heartbeats_move_nothing`\], and a
///     client disconnects from a server that sends none
///     \[`a_client_leaves_a_silent_server`\].
/// 11. **A client that never reads** costs bounded memory and delays no other
///     client; it is disconnected, and resumes exactly
///     \[`a_client_that_never_reads_is_disconnected`\].
/// 12. **A drain** ends every stream in time and between two frames, and
///     clients resume exactly at the next process
///     \[`a_drain_ends_every_stream_between_two_frames`\].
/// 13. **Clients that disconnect** leave nothing behind
///     \[`a_client_that_goes_away_leaves_nothing`\].
/// 14. **Proxies** that buffer bytes cause delay but no loss
///     \[`a_proxy_that_holds_bytes_back_only_delays`\].
/// 15. **Transports are interchangeable:** they deliver the same bytes
///     \[`all_transports_deliver_the_same`\], and a client may switch from one
///     to another with its cursor \[`a_client_may_switch_transports`\].
/// 16. **Permissions** that were reduced hide the same events in a replay as in
///     live delivery \[`a_replay_hides_what_live_hides`\]; what may not be seen
///     is not sent, in whatever way it is read
///     \[`what_may_not_be_seen_is_not_sent`\]. If rights change while a stream is
///     open, it ends \[`a_revoked_right_ends_while_a_stream_is_open`\], and wider
///     ones are loaded again \[`wider_rights_are_loaded_again`\].
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The transport's name, such as `sse`.
    fn name(&self) -> &'static str;

    /// Serves the hub's log on this listener until `shutdown` is cancelled, and
    /// then ends every open stream in good order.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if the transport cannot serve on
    /// this listener, [`Unavailable`](crate::ErrorKind::Unavailable) if the
    /// listener fails.
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
    /// reconnects nor skips: the stream yields exactly what the server sent.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a refused
    /// resume, [`Invalid`](crate::ErrorKind::Invalid) for a refused request,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the connection fails.
    /// The stream ends with an error if the connection breaks within a frame.
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

/// The address of a feed: the URL at which its router is mounted, such as
/// `http://127.0.0.1:3000/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The endpoint with this URL, without trailing slashes.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let mut url = url.into();
        url.truncate(url.trim_end_matches('/').len());
        Self(url)
    }

    /// The URL, without trailing slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that a client receives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    /// The subscription starts at `cursor`. Always the first frame.
    Ready {
        /// Where the subscription resumes.
        cursor: Cursor,
        /// The end of the log when the subscription was opened.
        head: Cursor,
        /// The interval of the server's heartbeats; `None` if it sends none.
        heartbeat: Option<Duration>,
    },
    /// A matching event.
    Event {
        /// The event, parsed from its envelope.
        event: Event,
        /// The envelope, byte for byte.
        envelope: Bytes,
    },
    /// The log was searched up to this cursor, and nothing matched since the
    /// last frame.
    Checkpoint {
        /// Up to where the log was searched.
        cursor: Cursor,
    },
    /// Everything up to a head read after [`Ready`](Self::Ready) was delivered.
    Live {
        /// The position of the subscription.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
    /// The subscription fell behind the hub's ring of recent events and reads
    /// from the store again.
    Behind {
        /// The position of the subscription.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
    /// The log was replaced or restored; nothing follows.
    Reset {
        /// `history-changed` or `cursor-ahead`.
        reason: String,
        /// The current end of the log.
        head: Cursor,
    },
    /// A sign that the server is alive.
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
    /// A problem that the server reports. The connection ends, unless it still
    /// serves other subscriptions.
    Problem {
        /// The code, such as `bad-filter`.
        code: String,
        /// What happened and what to do.
        detail: String,
        /// Whether the same request may succeed later.
        retryable: bool,
        /// The whole problem document as JSON, byte for byte.
        json: Bytes,
    },
}

impl Frame {
    /// The cursor to resume from after this frame; `None` if the frame does not
    /// move the cursor.
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
