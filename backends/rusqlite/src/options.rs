use std::path::{Path, PathBuf};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{Durability, Pragmas};

use crate::RusqliteStore;

/// How a store is opened.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> downlink::Result<()> {
/// use downlink_rusqlite::{Durability, Options};
///
/// let store = Options::new().with_durability(Durability::Normal).with_readers(2).open("flights.db").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    durability: Durability,
    queue: usize,
    queue_bytes: usize,
    readers: usize,
    group_events: usize,
    linger: Duration,
    busy_deadline: Duration,
    cache_bytes: usize,
    max_bytes: Option<u64>,
}

impl Options {
    /// The safe defaults, each of which its setter describes.
    pub const fn new() -> Self {
        Self {
            durability: Durability::Full,
            queue: 4_096,
            queue_bytes: 64 << 20,
            readers: 4,
            group_events: 4_096,
            linger: Duration::from_micros(300),
            busy_deadline: Duration::from_secs(5),
            cache_bytes: 8 << 20,
            max_bytes: None,
        }
    }

    /// What an acknowledged append survives: a power cut, too, by default
    /// ([`Durability::Full`]).
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many appends and steps of projections may wait for their answer:
    /// 4,096 by default, at least one. One more is answered `Overloaded` at
    /// once.
    pub fn with_queue(mut self, appends: usize) -> Self {
        self.queue = appends.max(1);
        self
    }

    /// How many bytes of events those that wait may have together: 64 MiB by
    /// default. One more is answered `Overloaded` at once, unless it is alone.
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How many threads read, each on a connection of its own: 4 by default, at
    /// least one.
    pub fn with_readers(mut self, threads: usize) -> Self {
        self.readers = threads.max(1);
        self
    }

    /// How many events one transaction takes before it leaves the appends that
    /// still wait to the next: 4,096 by default. 1 commits every append alone.
    pub fn with_group(mut self, events: usize) -> Self {
        self.group_events = events.max(1);
        self
    }

    /// How long the writer waits, at most, until as many appends have come as
    /// the last time: 300 µs by default. A lone appender never waits.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How long to wait for a lock that another program holds: 5 s by default.
    /// Then the call is answered `Busy`.
    pub fn with_busy_deadline(mut self, deadline: Duration) -> Self {
        self.busy_deadline = deadline;
        self
    }

    /// The page cache of each connection, one that writes and those that read:
    /// 8 MiB by default.
    pub fn with_cache(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How large the database may grow: without limit by default. An append
    /// that does not fit is answered `StorageFull`, as on a full disk. The WAL
    /// beside it is not counted.
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Opens the log in this file, or makes an empty one if there is none.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) for `:memory:` and the empty path, and for a file that
    ///   belongs to another application or to a newer release;
    /// - [`Unavailable`](ErrorKind::Unavailable) if the file or its folder cannot be opened or
    ///   not be written;
    /// - [`Busy`](ErrorKind::Busy) if another program holds the lock past the deadline;
    /// - [`Corrupt`](ErrorKind::Corrupt) if the file is not a SQLite database.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no thread behind; an empty log may have been
    /// made.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<RusqliteStore> {
        let path = place(path.as_ref())?;
        RusqliteStore::start(path, self).await
    }

    pub(crate) fn pragmas(&self) -> Pragmas {
        Pragmas {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            checkpoint_pages: CHECKPOINT_PAGES,
        }
    }

    pub(crate) fn queue(&self) -> (usize, usize) {
        (self.queue, self.queue_bytes)
    }

    pub(crate) fn readers(&self) -> usize {
        self.readers
    }

    pub(crate) fn group_events(&self) -> usize {
        self.group_events
    }

    pub(crate) fn linger(&self) -> Duration {
        self.linger
    }

    pub(crate) fn busy_deadline(&self) -> Duration {
        self.busy_deadline
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// 16 MiB of WAL: the same pages of heads and indexes are written to the
/// database once for many groups.
const CHECKPOINT_PAGES: u32 = 4_096;

/// The absolute path, so that it names the same file after a change of the
/// working directory.
pub(crate) fn place(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let message =
            "a log is a file: name one, or take downlink::MemoryStore for a log in memory";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    std::path::absolute(path).map_err(|error| {
        let message = format!("the path {} cannot be made absolute", path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}
