use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downlink::commit::WriterOptions;
use downlink::{Error, ErrorKind, Result, limits};

use crate::{DatabaseFile, Durability, Pragmas};

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
#[must_use]
pub struct Options<S: OpenFile> {
    file: FileOptions,
    on_connect: Option<S::OnConnect>,
}

/// What [`Options`] say, whatever the driver.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct FileOptions {
    durability: Durability,
    readers: usize,
    cache_bytes: usize,
    max_bytes: Option<u64>,
    is_shared: bool,
    is_looking_only: bool,
    file_mode: u32,
    index_lag: usize,
    query_limit: Duration,
    writer: WriterOptions,
}

/// A store that a file is opened as.
pub trait OpenFile: Sized + Send {
    /// What the application does with each new connection of its database.
    type OnConnect: Clone + Send + Sync + 'static;

    /// Opens the log at this absolute path; see [`Options::open`].
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    fn open_file(file: DatabaseFile<Self>) -> impl Future<Output = Result<Self>> + Send;
}

impl<S: OpenFile> Options<S> {
    /// The safe defaults, each of which its setter describes.
    pub const fn new() -> Self {
        Self { file: FileOptions::new(), on_connect: None }
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
    /// default, at least one. One more connection serves live delivery, and as
    /// many more serve queries of read models.
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
    /// the last time: 300 µs by default, a day at most. A lone appender never
    /// waits.
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

    /// How long one query of a read model may take once it has its connection:
    /// 5 s by default, a day at most. Then SQLite is stopped, and the query is answered
    /// `TooLarge`.
    pub fn with_query_limit(mut self, limit: Duration) -> Self {
        self.file.query_limit = limit.min(limits::MAX_WAIT);
        self
    }

    /// How large the database may grow: without limit by default. An append
    /// that does not fit is answered `StorageFull`, as on a full disk. The WAL
    /// beside it is not counted.
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.file.max_bytes = Some(bytes);
        self
    }

    /// Who may open a database that [`open`](Self::open) makes, as a mode of Unix:
    /// 0o600 by default, its owner only, whatever the umask of the process. A file
    /// that is there keeps its mode. The files beside it, and backups, get the mode
    /// of the database, and its owner if the process is root's.
    pub fn with_file_mode(mut self, mode: u32) -> Self {
        self.file.file_mode = mode & 0o777;
        self
    }

    /// How many events the index of types and tags may be behind the log before
    /// the writer brings it up to date: 4,096 by default, at least one. Those
    /// are scanned by every read with a filter; what is older is looked up.
    pub fn with_index_lag(mut self, events: usize) -> Self {
        self.file.index_lag = events.max(1);
        self
    }

    /// Lets the log live in a database of the application, beside its tables.
    /// Without this, a file with other tables is refused.
    ///
    /// You consent to what the log needs of the database: it is switched to a
    /// WAL (`PRAGMA journal_mode = WAL`, which stays), its text is UTF-8, and no
    /// trigger is on the tables of the log, whose names begin with `downlink_`.
    /// `application_id` and `user_version` stay the application's.
    ///
    /// Transactions of the application's own connections wait for SQLite's lock
    /// and not in the fair queue of the log's writers, so keep them short, or
    /// write through the store: appends that wait for them past the deadline are
    /// answered `Busy`.
    pub fn with_application_database(mut self) -> Self {
        self.file.is_shared = true;
        self
    }

    /// Prepares each connection that the store opens to the file, those that
    /// write and those that read: pragmas, functions and collations of the
    /// application, which its projections, queries and indexes use. The store's
    /// own settings come after it.
    pub fn with_on_connect(mut self, on_connect: S::OnConnect) -> Self {
        self.on_connect = Some(on_connect);
        self
    }

    /// Opens the log in this file, or makes an empty one if there is none.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) for `:memory:`, the empty path and a folder, for a file that
    ///   belongs to another application (see [`Options::with_application_database`]) or to a newer
    ///   release, for a database that cannot have a log, and for a file with a second name (a hard
    ///   link, or on Linux a mount of the file alone), by which others would have another log;
    /// - [`Unavailable`](ErrorKind::Unavailable) if the file or its folder cannot be opened or
    ///   not be written;
    /// - [`Busy`](ErrorKind::Busy) if another program holds the lock past the deadline;
    /// - [`Corrupt`](ErrorKind::Corrupt) if the file is not a SQLite database.
    ///
    /// Each says which file or folder is in the way, whose it is, and what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running; an empty log may have been
    /// made.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<S> {
        let path = absolute(path.as_ref())?;
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

impl FileOptions {
    /// The defaults of [`Options`].
    pub const fn new() -> Self {
        Self {
            durability: Durability::Full,
            readers: 4,
            cache_bytes: 8 << 20,
            max_bytes: None,
            is_shared: false,
            is_looking_only: false,
            file_mode: 0o600,
            index_lag: 4_096,
            query_limit: Duration::from_secs(5),
            writer: WriterOptions::new(),
        }
    }

    /// For a log that is only looked at, in whatever database.
    pub(crate) const fn looking_only() -> Self {
        Self { is_shared: true, is_looking_only: true, ..Self::new() }
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

    /// How long one query of a read model may take.
    #[must_use]
    pub fn query_limit(&self) -> Duration {
        self.query_limit
    }

    /// How large the database may grow.
    #[must_use]
    pub fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// Whether the log may live in a database of an application.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// How many events the index may be behind.
    #[must_use]
    pub fn index_lag(&self) -> usize {
        self.index_lag
    }

    /// The mode of a database that is made.
    #[must_use]
    pub fn file_mode(&self) -> u32 {
        self.file_mode
    }

    /// Whether nothing is made or migrated.
    pub(crate) fn is_looking_only(&self) -> bool {
        self.is_looking_only
    }

    /// How connections are set.
    #[must_use]
    pub fn pragmas(&self) -> Pragmas {
        Pragmas {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            checkpoint_pages: CHECKPOINT_PAGES,
            is_shared: self.is_shared,
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
