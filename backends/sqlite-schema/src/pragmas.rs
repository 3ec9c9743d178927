use downlink::{Error, ErrorKind};

use crate::durability::Durability;

/// The pragmas of the connections of a store. Others keep the defaults of SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pragmas {
    /// What a commit survives.
    pub durability: Durability,
    /// The page cache of one connection, in bytes.
    pub cache_bytes: usize,
    /// The length of the WAL, in pages, at which the writer runs a checkpoint.
    pub checkpoint_pages: u32,
    /// Whether the schema belongs to an application, which may use functions of its
    /// own in it.
    pub is_shared: bool,
}

/// Returns the new mode, which must be `wal`. The mode is stored in the file, so
/// this comes after the check that the file is ours.
pub const WAL: &str = "PRAGMA journal_mode = WAL";

/// Moves the WAL into the database and empties it before the writer closes, so that
/// the database file alone is the log. That may fail while other connections use the
/// file; they are blocked only for a moment.
pub const EMPTY_WAL: &str = "PRAGMA busy_timeout = 250; PRAGMA wal_checkpoint(TRUNCATE)";

impl Pragmas {
    /// For the connection that writes.
    #[must_use]
    pub fn writer(&self) -> String {
        format!(
            "PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {}; {}",
            self.durability.synchronous(),
            self.checkpoint_pages,
            // A WAL that grew during a long read is truncated to this when it restarts.
            i64::from(self.checkpoint_pages) * 2 * 4_096,
            self.shared()
        )
    }

    /// For a connection that only reads. Only the writer checkpoints.
    #[must_use]
    pub fn reader(&self) -> String {
        format!("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; {}", self.shared())
    }

    /// For a connection that copies the database, which SQLite counts as writing.
    #[must_use]
    pub fn backup(&self) -> String {
        format!("PRAGMA wal_autocheckpoint = 0; {}", self.shared())
    }

    fn shared(&self) -> String {
        let kibibytes = self.cache_bytes / 1_024;
        let trust = if self.is_shared { "" } else { "PRAGMA trusted_schema = OFF;" };
        format!("PRAGMA cache_size = -{kibibytes}; PRAGMA temp_store = MEMORY; {trust}")
    }
}

/// A [`Backend`](ErrorKind::Backend): SQLite keeps another journal mode than WAL.
#[must_use]
pub fn not_in_wal_mode(mode: &str) -> Error {
    let message =
        format!("SQLite keeps the journal mode '{mode}' here: put the file on a local disk");
    Error::new(ErrorKind::Backend, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_durability_is_the_default() {
        let pragmas = Pragmas {
            durability: Durability::default(),
            cache_bytes: 1 << 20,
            checkpoint_pages: 1_000,
            is_shared: false,
        };
        assert!(pragmas.writer().contains("synchronous = FULL;"));
        assert!(pragmas.reader().contains("query_only = ON;"));
        assert!(pragmas.reader().contains("cache_size = -1024;"));
    }
}
