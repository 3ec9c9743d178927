use std::time::Duration;

use downlink::commit::WriterOptions;
use downlink::{Error, ErrorKind, Result};

use crate::durability::Durability;
use crate::pragmas::Pragmas;
use crate::setup::{Identity, Setup};

/// The part of [`Options`](crate::Options) that does not depend on the driver.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct FileOptions {
    pub(crate) durability: Durability,
    pub(crate) readers: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) is_shared: bool,
    pub(crate) is_existing_only: bool,
    pub(crate) file_mode: u32,
    pub(crate) index_lag: usize,
    pub(crate) query_limit: Duration,
    pub(crate) writer: WriterOptions,
}

impl FileOptions {
    /// The defaults of [`Options`](crate::Options).
    pub const fn new() -> Self {
        Self {
            durability: Durability::Full,
            readers: 4,
            cache_bytes: 8 << 20,
            max_bytes: None,
            is_shared: false,
            is_existing_only: false,
            file_mode: 0o600,
            index_lag: 4_096,
            query_limit: Duration::from_secs(5),
            writer: WriterOptions::new(),
        }
    }

    /// For a log that is neither created nor migrated, in any database.
    pub(crate) const fn existing_only() -> Self {
        Self { is_shared: true, is_existing_only: true, ..Self::new() }
    }

    /// The queue and the groups of the writer.
    pub fn writer(&self) -> WriterOptions {
        self.writer
    }

    /// How long to wait for a lock.
    #[must_use]
    pub fn busy_deadline(&self) -> Duration {
        self.writer.busy_deadline()
    }

    /// How many reads run at once.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// How long a query of a read model may take.
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

    /// How many events the index may lag behind the log.
    #[must_use]
    pub fn index_lag(&self) -> usize {
        self.index_lag
    }

    /// The mode of a database file that is created.
    #[must_use]
    pub fn file_mode(&self) -> u32 {
        self.file_mode
    }

    /// Whether nothing is created or migrated.
    pub(crate) fn is_existing_only(&self) -> bool {
        self.is_existing_only
    }

    /// The pragmas of its connections.
    #[must_use]
    pub fn pragmas(&self) -> Pragmas {
        Pragmas {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            checkpoint_pages: CHECKPOINT_PAGES,
            is_shared: self.is_shared,
        }
    }

    /// What must be done to a database before a connection with these options can
    /// use it.
    ///
    /// # Errors
    ///
    /// Those of [`Identity::setup`], and [`Unavailable`](ErrorKind::Unavailable) if a log would
    /// have to be created or migrated where that is not permitted.
    pub fn setup(&self, found: &Identity, format: Option<i64>, may_create: bool) -> Result<Setup> {
        let setup = found.setup(self.is_shared(), format)?;
        let message = match setup {
            Setup::Create | Setup::Adopt if !may_create => {
                "the file has no log: open the store again to create one"
            }
            Setup::MigrateFrom1 | Setup::MigrateFrom2 if self.is_existing_only() => {
                "the file is of an earlier release: open a store on it once to migrate it"
            }
            _ => return Ok(setup),
        };
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// 16 MiB of WAL, so that pages of heads and indexes, which change in every group, are
/// written to the database once for many groups.
const CHECKPOINT_PAGES: u32 = 4_096;
