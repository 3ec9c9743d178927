use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::id::{Position, StreamId, Version};
use crate::limits;

/// Describes a read of the whole log ([`ReadLog`]) or of one stream
/// ([`ReadStream`]): where it begins, in which direction, how much, and which
/// events.
///
/// # Examples
///
/// ```
/// use downlink::store::Read;
/// use downlink::{Cursor, StreamId};
///
/// let next = Read::log().with_after(Cursor::START).with_limit(500);
/// let newest = Read::stream(StreamId::from_static("flight-UA1545")).backward().with_limit(1);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Read<S> {
    scope: S,
    direction: Direction,
    limit: usize,
    max_bytes: usize,
    filter: Filter,
}

/// A read of all streams, in commit order.
pub type ReadLog = Read<LogScope>;

/// A read of one stream, in version order.
pub type ReadStream = Read<StreamScope>;

/// The scope of a [`ReadLog`].
#[derive(Clone, Debug)]
pub struct LogScope {
    after: Option<Mark>,
    is_live: bool,
}

/// The scope of a [`ReadStream`].
#[derive(Clone, Debug)]
pub struct StreamScope {
    stream: StreamId,
    after: Option<Version>,
}

/// A place in the log. Exhaustive, since a backend has to support every
/// variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A trusted position: the store does not check which event is there.
    Position(Position),
    /// A cursor, verified in the same snapshot as the page. If another event is
    /// there, the read fails with
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged).
    Cursor(Cursor),
}

impl Mark {
    /// The position of the place.
    #[must_use]
    pub fn position(self) -> Position {
        match self {
            Self::Position(position) => position,
            Self::Cursor(cursor) => cursor.position(),
        }
    }
}

impl From<Position> for Mark {
    fn from(position: Position) -> Self {
        Self::Position(position)
    }
}

impl From<Cursor> for Mark {
    fn from(cursor: Cursor) -> Self {
        Self::Cursor(cursor)
    }
}

/// The order in which events are returned. Exhaustive, since a backend has to
/// support both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// The default limit of a page, in events.
pub const DEFAULT_LIMIT: usize = 500;

/// The default size of a page, in bytes: 1 MiB.
pub const DEFAULT_MAX_BYTES: usize = 1 << 20;

impl Read<LogScope> {
    /// Reads the whole log, from its beginning.
    pub fn log() -> Self {
        Self::new(LogScope { after: None, is_live: false })
    }

    /// Begins with the first event after this place, in the direction of the
    /// read. By default, a forward read begins before the first event, a
    /// backward read at the newest. A [`Cursor`] is verified, a [`Position`] is
    /// trusted: use a cursor for a place that was stored or that came from a
    /// client.
    pub fn with_after(mut self, mark: impl Into<Mark>) -> Self {
        self.scope.after = Some(mark.into());
        self
    }

    /// Marks the read as one that live delivery waits for, such as those of a
    /// hub's tail. A store that queues reads reserves a reader for these, so
    /// that they don't wait behind others. Off by default.
    pub fn live(mut self) -> Self {
        self.scope.is_live = true;
        self
    }

    /// The place after which the read begins. `None`: a forward read begins
    /// before the first event, a backward read at the newest.
    #[must_use]
    pub fn after(&self) -> Option<Mark> {
        self.scope.after
    }

    /// Whether live delivery waits for this read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.scope.is_live
    }
}

impl Read<StreamScope> {
    /// Reads one stream, from its first event.
    pub fn stream(stream: StreamId) -> Self {
        Self::new(StreamScope { stream, after: None })
    }

    /// Begins with the first event after this version, in the direction of the
    /// read. By default, a forward read begins before the first event, a
    /// backward read at the newest.
    pub fn with_after(mut self, version: Version) -> Self {
        self.scope.after = Some(version);
        self
    }

    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.scope.stream
    }

    /// The version after which the read begins. `None`: a forward read begins
    /// before the first event, a backward read at the newest.
    #[must_use]
    pub fn after(&self) -> Option<Version> {
        self.scope.after
    }
}

impl<S> Read<S> {
    fn new(scope: S) -> Self {
        Self {
            scope,
            direction: Direction::Forward,
            limit: DEFAULT_LIMIT,
            max_bytes: DEFAULT_MAX_BYTES,
            filter: Filter::everything(),
        }
    }

    /// Returns the newest events first. Oldest first by default.
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Returns at most this many events: [500](DEFAULT_LIMIT) by default,
    /// [1,000](limits::MAX_PAGE_EVENTS) at most. With 0, the page is empty, but
    /// the cursor is still verified and the head returned.
    pub fn with_limit(mut self, events: usize) -> Self {
        self.limit = events.min(limits::MAX_PAGE_EVENTS);
        self
    }

    /// Returns at most this many bytes of [`Event::size`](crate::Event::size), but
    /// at least one event: [1 MiB](DEFAULT_MAX_BYTES) by default.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Returns only matching events: all by default.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// The order of the events.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The most events of a page.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The most bytes of a page with more than one event.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The filter that events have to match.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }
}
