use crate::Durability;

/// How the connections of a store are set. What is not here stays as SQLite has
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pragmas {
    /// What a commit survives.
    pub durability: Durability,
    /// The page cache of one connection, in bytes.
    pub cache_bytes: usize,
    /// The length of the WAL, in pages, at which the writer moves it into the
    /// database.
    pub checkpoint_pages: u32,
    /// Whether the schema is an application's, which may use functions of its
    /// own in it.
    pub is_shared: bool,
}

/// Returns the new mode, which has to be `wal`. The mode is kept in the file,
/// so this comes after the check that the file is ours.
pub const WAL: &str = "PRAGMA journal_mode = WAL";

/// Moves what the WAL has into the database before the writer closes, and empties
/// it, so that the database alone is the log. With others at work on the file that
/// may not be possible; they are held up for a moment only.
pub const EMPTY_WAL: &str = "PRAGMA busy_timeout = 250; PRAGMA wal_checkpoint(TRUNCATE)";

impl Pragmas {
    /// For the connection that writes.
    #[must_use]
    pub fn writer(&self) -> String {
        format!(
            "PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {}; {}",
            self.durability.synchronous(),
            self.checkpoint_pages,
            // A WAL that a long reader let grow is cut to this when it starts anew.
            i64::from(self.checkpoint_pages) * 2 * 4_096,
            self.shared()
        )
    }

    /// For a connection that only reads. Only the writer checkpoints.
    #[must_use]
    pub fn reader(&self) -> String {
        format!("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; {}", self.shared())
    }

    /// For a connection that copies the database. SQLite counts that as
    /// writing.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_is_what_one_gets_unasked() {
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
