use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result, limits};

use crate::database_file::DatabaseFile;
use crate::durability::Durability;
use crate::file_options::FileOptions;

/// Options for opening a store of the type `S`.
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
#[must_use]
pub struct Options<S: OpenFile> {
    file: FileOptions,
    on_connect: Option<S::OnConnect>,
}

/// A store that keeps its log in a SQLite file.
pub trait OpenFile: Sized + Send {
    /// What the application runs on each new connection.
    type OnConnect: Clone + Send + Sync + 'static;

    /// Opens the log in this file; see [`Options::open`].
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    fn open_file(file: DatabaseFile<Self::OnConnect>) -> impl Future<Output = Result<Self>> + Send;
}

impl<S: OpenFile> Options<S> {
    /// The safe defaults, each of which its setter describes.
    pub const fn new() -> Self {
        Self { file: FileOptions::new(), on_connect: None }
    }

    /// What an acknowledged append survives: by default also a power cut
    /// ([`Durability::Full`]).
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.file.durability = durability;
        self
    }

    /// How many appends and projection steps may be queued: 4,096 by default, at
    /// least one. Further ones fail at once with `Overloaded`.
    pub fn with_queue(mut self, appends: usize) -> Self {
        self.file.writer = self.file.writer.with_queue(appends);
        self
    }

    /// How many bytes of events may be queued in total: 64 MiB by default. An append
    /// beyond that fails at once with `Overloaded`, unless the queue is empty.
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.file.writer = self.file.writer.with_queue_bytes(bytes);
        self
    }

    /// How many reads run at once, each on a connection of its own: 4 by default, at
    /// least one. One more connection serves live delivery, and the same number again
    /// serves queries of read models.
    pub fn with_readers(mut self, readers: usize) -> Self {
        self.file.readers = readers.max(1);
        self
    }

    /// How many events one transaction takes before it leaves the remaining appends to
    /// the next: 4,096 by default. 1 commits every append alone.
    pub fn with_group(mut self, events: usize) -> Self {
        self.file.writer = self.file.writer.with_group(events);
        self
    }

    /// How long the writer waits at most for a group as large as the last one: 300 µs by
    /// default, a day at most. A single appender never waits.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.file.writer = self.file.writer.with_linger(linger);
        self
    }

    /// How long to wait for a lock that another program holds: 5 s by default,
    /// a day at most. Then the call fails with `Busy`.
    pub fn with_busy_deadline(mut self, deadline: Duration) -> Self {
        self.file.writer = self.file.writer.with_busy_deadline(deadline);
        self
    }

    /// How long a transaction of the application (`transact`) may take: 5 s by
    /// default, a day at most. Then it is stopped and rolled back.
    pub fn with_transaction_deadline(mut self, deadline: Duration) -> Self {
        self.file.writer = self.file.writer.with_transaction_deadline(deadline);
        self
    }

    /// The page cache of each connection, for writing and for reading: 8 MiB by
    /// default.
    pub fn with_cache(mut self, bytes: usize) -> Self {
        self.file.cache_bytes = bytes;
        self
    }

    /// How long one query of a read model may take once it has its connection:
    /// 5 s by default, a day at most. Then SQLite is stopped, and the query fails with
    /// `TooLarge`.
    pub fn with_query_limit(mut self, limit: Duration) -> Self {
        self.file.query_limit = limit.min(limits::MAX_WAIT);
        self
    }

    /// How large the database may grow: without limit by default. An append that does
    /// not fit fails with `StorageFull`, as on a full disk. The WAL is not counted.
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.file.max_bytes = Some(bytes);
        self
    }

    /// The Unix mode of a database that [`open`](Self::open) creates: 0o600 by default, so
    /// that only its owner may open it, whatever the umask of the process. An existing
    /// file keeps its mode. The files next to it, and backups, get the mode of the
    /// database, and its owner if the process runs as root.
    pub fn with_file_mode(mut self, mode: u32) -> Self {
        self.file.file_mode = mode & 0o777;
        self
    }

    /// How many events the index of types and tags may lag behind the log before the
    /// writer brings it up to date: 4,096 by default, at least one. Every read with a
    /// filter scans these events; older ones are looked up in the index.
    pub fn with_index_lag(mut self, events: usize) -> Self {
        self.file.index_lag = events.max(1);
        self
    }

    /// Permits the log in a database of the application, next to its tables. Without
    /// this, a file with other tables is refused.
    ///
    /// The log has requirements: the database is switched to WAL mode (`PRAGMA
    /// journal_mode = WAL`, which is permanent), its text must be UTF-8, and there must be
    /// no trigger on the tables of the log, whose names begin with `downlink_`.
    /// `application_id` and `user_version` stay the application's.
    ///
    /// Transactions of the application's own connections wait for SQLite's lock and not
    /// in the fair queue of the log's writers. Keep them short, or write through the
    /// store: appends that wait for them past the deadline fail with `Busy`.
    pub fn with_application_database(mut self) -> Self {
        self.file.is_shared = true;
        self
    }

    /// Runs this on each connection that the store opens to the file, for writing and
    /// for reading: to set pragmas, and to add functions and collations that the
    /// projections, queries and indexes of the application use. The store's own settings
    /// are applied after it.
    pub fn with_on_connect(mut self, on_connect: S::OnConnect) -> Self {
        self.on_connect = Some(on_connect);
        self
    }

    /// Opens the log in this file, or creates an empty one.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) for `:memory:`, the empty path and a folder, for a file that
    ///   belongs to another application (see [`Options::with_application_database`]) or to a newer
    ///   release, for a database that cannot have a log, and for a file with a second name (a hard
    ///   link, or on Linux a mount of the file alone), which would have another log;
    /// - [`Unavailable`](ErrorKind::Unavailable) if the file or its folder cannot be opened or
    ///   written;
    /// - [`Busy`](ErrorKind::Busy) if another program holds the lock past the deadline;
    /// - [`Corrupt`](ErrorKind::Corrupt) if the file is not a SQLite database.
    ///
    /// The message names the file or folder that is the cause, its owner, and what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running; an empty log may have been created.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<S> {
        let path = absolute_path(path.as_ref())?;
        S::open_file(DatabaseFile::new(path, self.file, self.on_connect)).await
    }
}

impl<S: OpenFile> Clone for Options<S> {
    fn clone(&self) -> Self {
        Self { file: self.file, on_connect: self.on_connect.clone() }
    }
}

impl<S: OpenFile> fmt::Debug for Options<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<S: OpenFile> Default for Options<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// The absolute path, which names the same file after the working directory changes.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a path that names no file, and
/// [`Unavailable`](ErrorKind::Unavailable) if the working directory does not exist any more.
pub fn absolute_path(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let message = "a log is a file: name one, or use downlink::MemoryStore for a log in memory";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    std::path::absolute(path).map_err(|error| {
        let message = format!("could not make the path {} absolute", path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}
