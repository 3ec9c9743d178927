use std::future::Future;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downlink::commit::WriterOptions;
use downlink::{Error, ErrorKind, Result};

use crate::{Durability, Pragmas};

/// How a store of the type `S` is opened.
///
/// # Examples
///
/// ```no_run
/// # async fn example<S: downlink_sqlite_schema::OpenFile>() -> downlink::Result<()> {
/// use downlink_sqlite_schema::{Durability, Options};
///
/// let options = Options::<S>::new().with_durability(Durability::Normal).with_readers(2);
/// let store = options.open("flights.db").await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Options<S> {
    file: FileOptions,
    store: PhantomData<fn() -> S>,
}

/// What [`Options`] say, whatever the driver.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct FileOptions {
    durability: Durability,
    readers: usize,
    cache_bytes: usize,
    max_bytes: Option<u64>,
    writer: WriterOptions,
}

/// A store that a file is opened as.
pub trait OpenFile: Sized + Send {
    /// Opens the log at this absolute path; see [`Options::open`].
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    fn open_file(path: PathBuf, options: FileOptions) -> impl Future<Output = Result<Self>> + Send;
}

impl<S> Options<S> {
    /// The safe defaults, each of which its setter describes.
    pub const fn new() -> Self {
        Self { file: FileOptions::new(), store: PhantomData }
    }

    /// What an acknowledged append survives: a power cut, too, by default
    /// ([`Durability::Full`]).
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.file.durability = durability;
        self
    }

    /// How many appends and steps of projections may wait for their answer:
    /// 4,096 by default, at least one. One more is answered `Overloaded` at
    /// once.
    pub fn with_queue(mut self, appends: usize) -> Self {
        self.file.writer = self.file.writer.with_queue(appends);
        self
    }

    /// How many bytes of events those that wait may have together: 64 MiB by
    /// default. One more is answered `Overloaded` at once, unless it is alone.
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.file.writer = self.file.writer.with_queue_bytes(bytes);
        self
    }

    /// How many reads are served at once, each on a connection of its own: 4 by
    /// default, at least one. One more connection serves live delivery.
    pub fn with_readers(mut self, readers: usize) -> Self {
        self.file.readers = readers.max(1);
        self
    }

    /// How many events one transaction takes before it leaves the appends that
    /// still wait to the next: 4,096 by default. 1 commits every append alone.
    pub fn with_group(mut self, events: usize) -> Self {
        self.file.writer = self.file.writer.with_group(events);
        self
    }

    /// How long the writer waits, at most, until as many appends have come as
    /// the last time: 300 µs by default. A lone appender never waits.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.file.writer = self.file.writer.with_linger(linger);
        self
    }

    /// How long to wait for a lock that another program holds: 5 s by default,
    /// a day at most. Then the call is answered `Busy`.
    pub fn with_busy_deadline(mut self, deadline: Duration) -> Self {
        self.file.writer = self.file.writer.with_busy_deadline(deadline);
        self
    }

    /// How long a transaction of the application (`transact`) may take: 5 s by
    /// default, a day at most. Then it is ended and rolled back.
    pub fn with_transaction_deadline(mut self, deadline: Duration) -> Self {
        self.file.writer = self.file.writer.with_transaction_deadline(deadline);
        self
    }

    /// The page cache of each connection, one that writes and those that read:
    /// 8 MiB by default.
    pub fn with_cache(mut self, bytes: usize) -> Self {
        self.file.cache_bytes = bytes;
        self
    }

    /// How large the database may grow: without limit by default. An append
    /// that does not fit is answered `StorageFull`, as on a full disk. The WAL
    /// beside it is not counted.
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.file.max_bytes = Some(bytes);
        self
    }
}

impl<S: OpenFile> Options<S> {
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
    /// Dropping the future leaves nothing running; an empty log may have been
    /// made.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<S> {
        let path = absolute(path.as_ref())?;
        S::open_file(path, self.file).await
    }
}

impl<S> Clone for Options<S> {
    fn clone(&self) -> Self {
        Self { file: self.file, store: PhantomData }
    }
}

impl<S> Default for Options<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl FileOptions {
    /// The defaults of [`Options`].
    pub const fn new() -> Self {
        Self {
            durability: Durability::Full,
            readers: 4,
            cache_bytes: 8 << 20,
            max_bytes: None,
            writer: WriterOptions::new(),
        }
    }

    /// How the writer queues and groups.
    pub fn writer(&self) -> WriterOptions {
        self.writer
    }

    /// How long to wait for a lock.
    #[must_use]
    pub fn busy_deadline(&self) -> Duration {
        self.writer.busy_deadline()
    }

    /// The reads that are served at once.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// How large the database may grow.
    #[must_use]
    pub fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// How connections are set.
    #[must_use]
    pub fn pragmas(&self) -> Pragmas {
        Pragmas {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            checkpoint_pages: CHECKPOINT_PAGES,
        }
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// 16 MiB of WAL: the same pages of heads and indexes are written to the
/// database once for many groups.
const CHECKPOINT_PAGES: u32 = 4_096;

/// The absolute path, so that it names the same file after a change of the
/// working directory.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a path that names no file, and
/// [`Unavailable`](ErrorKind::Unavailable) if the working directory is gone.
pub fn absolute(path: &Path) -> Result<PathBuf> {
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
