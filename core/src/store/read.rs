use crate::{Cursor, Filter, Position, StreamId, Version, limits};

/// What to read of a log: which part, in which direction, how much, and which
/// events of it.
///
/// # Examples
///
/// ```
/// use downlink::{Position, Read};
///
/// let next = Read::log().after(Position::ZERO).limit(500);
/// let newest = Read::stream("flight-UA1545".try_into()?).backward().limit(1);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Read {
    scope: Scope,
    direction: Direction,
    limit: usize,
    max_bytes: usize,
    filter: Filter,
    is_live: bool,
}

/// Which part of a log is read. Exhaustive: a backend has to obey all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All streams, in commit order.
    Log {
        /// Excluded: reading begins with the event next to it in the direction
        /// of the read. `None` is the end where such a read begins.
        after: Option<Mark>,
    },
    /// One stream, in the order of its versions.
    Stream {
        /// The stream.
        stream: StreamId,
        /// Excluded, as above.
        after: Option<Version>,
    },
}

/// A place in the log. Exhaustive: a backend has to obey all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A place that is trusted.
    Position(Position),
    /// A place that is verified, in the same snapshot as the page: another
    /// event there is `HistoryChanged`.
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

/// The order in which events come. Exhaustive: a backend has to obey all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

impl Read {
    /// The bytes of a page unless said otherwise: 1 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 1 << 20;

    /// The events of a page unless said otherwise.
    pub const DEFAULT_LIMIT: usize = 500;

    /// The whole log, from its beginning.
    pub fn log() -> Self {
        Self::of(Scope::Log { after: None })
    }

    /// One stream, from its first event.
    pub fn stream(stream: StreamId) -> Self {
        Self::of(Scope::Stream { stream, after: None })
    }

    fn of(scope: Scope) -> Self {
        Self {
            scope,
            direction: Direction::Forward,
            limit: Self::DEFAULT_LIMIT,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            filter: Filter::everything(),
            is_live: false,
        }
    }

    /// Begins next to this position, which is trusted; use
    /// [`resume`](Self::resume) for one that somebody kept.
    ///
    /// # Panics
    ///
    /// Panics on a read of one stream.
    pub fn after(self, position: Position) -> Self {
        self.after_mark(Mark::Position(position))
    }

    /// Begins next to this cursor, which the store verifies.
    ///
    /// # Panics
    ///
    /// Panics on a read of one stream.
    pub fn resume(self, cursor: Cursor) -> Self {
        self.after_mark(Mark::Cursor(cursor))
    }

    fn after_mark(mut self, mark: Mark) -> Self {
        match &mut self.scope {
            Scope::Log { after } => *after = Some(mark),
            Scope::Stream { .. } => {
                panic!("a read of one stream begins after a version, not a position")
            }
        }
        self
    }

    /// Begins next to this version of the stream.
    ///
    /// # Panics
    ///
    /// Panics on a read of the whole log.
    pub fn after_version(mut self, version: Version) -> Self {
        match &mut self.scope {
            Scope::Stream { after, .. } => *after = Some(version),
            Scope::Log { .. } => panic!("a read of the log begins after a position, not a version"),
        }
        self
    }

    /// Newest first.
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// At most this many events: 500 by default, 1,000 at most. 0 reads none,
    /// and still verifies the cursor and tells the head.
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events.min(limits::MAX_PAGE_EVENTS);
        self
    }

    /// At most this many bytes of [`Event::size`](crate::Event::size), but at
    /// least one event: 1 MiB by default.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Only events that match: all by default.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Live delivery waits for this read: the tail of a hub asks for it. A store
    /// whose reads queue keeps a reader for such ones, so that they do not wait
    /// behind others.
    pub fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    /// Which part of the log. For backends, as the accessors below.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The order of the events.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The number of events that a page may have.
    #[must_use]
    pub fn max_events(&self) -> usize {
        self.limit
    }

    /// The bytes that a page may have, if it has more than one event.
    #[must_use]
    pub fn byte_budget(&self) -> usize {
        self.max_bytes
    }

    /// Which events are wanted.
    #[must_use]
    pub fn wanted(&self) -> &Filter {
        &self.filter
    }

    /// Whether live delivery waits for it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live
    }
}
