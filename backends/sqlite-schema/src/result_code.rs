use downlink::ErrorKind;

/// The kind and the message for a result code of SQLite, as in the table of the drivers'
/// docs. An extended code counts as its primary code, its lowest byte.
#[must_use]
pub fn explain(code: i32) -> (ErrorKind, &'static str) {
    if code == IOERR_WRITE {
        let what = "the system refuses to write: a quota or the limit on file sizes (ulimit -f) is \
                    reached, or the disk fails";
        return (ErrorKind::StorageFull, what);
    }
    match code & 0xff {
        LOCKED if code == LOCKED => (
            ErrorKind::Backend,
            "a statement changes what another statement on the same connection is reading: finish that one first",
        ),
        BUSY | LOCKED | PROTOCOL => (
            ErrorKind::Busy,
            "another program, or another connection of this one, held the lock past the deadline: keep transactions outside of the store short",
        ),
        FULL => (ErrorKind::StorageFull, "the disk or the quota of the file is full"),
        READONLY | PERM => (
            ErrorKind::Unavailable,
            "the file or its folder is read-only, and SQLite must write to both",
        ),
        CANTOPEN => (
            ErrorKind::Unavailable,
            "the file cannot be opened: its folder must exist and be writable",
        ),
        NOTADB => (ErrorKind::Corrupt, "the file is not a SQLite database"),
        CORRUPT => (ErrorKind::Corrupt, "the file is damaged: restore a backup"),
        TOOBIG => (ErrorKind::TooLarge, "a value is too large for SQLite"),
        _ => (ErrorKind::Backend, "SQLite reports an error"),
    }
}

pub(crate) const PERM: i32 = 3;
pub(crate) const BUSY: i32 = 5;
pub(crate) const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
pub(crate) const READONLY: i32 = 8;
const IOERR: i32 = 10;
/// SQLite distinguishes only a full disk from other causes. A write goes to the page cache of the
/// system, where a failing disk shows only on sync, so this nearly always means lack of space, too.
const IOERR_WRITE: i32 = 0x030a;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
pub(crate) const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
pub(crate) const NOTADB: i32 = 26;
const CORRUPT_VTAB: i32 = CORRUPT | 1 << 8;

/// Whether an error that application code got within the store's transaction is caused by
/// the file, the disk or another program, and not by its own statements. Such an error may
/// pass, and is not about the event.
///
/// The transaction holds SQLite's lock on a file that was opened and written to. So some
/// codes are mistakes of the application here, unlike elsewhere:
///
/// - `LOCKED` is about two statements of this very connection. Its extended
///   codes are about other connections (`SHAREDCACHE`, `VTAB`), and pass.
/// - `BUSY` is about another connection, unless `message` says that this connection has
///   statements in progress: then it is like `LOCKED`.
/// - `READONLY` is a pragma; its extended codes are about the file.
/// - `CANTOPEN` of a database with a name, and `NOTADB`, come from `ATTACH`.
/// - `CORRUPT_VTAB` is about the content of a virtual table of the application, such as an
///   FTS index that it has updated wrongly.
#[must_use]
pub fn is_storage_error(code: i32, message: &str) -> bool {
    match (code, code & 0xff) {
        (LOCKED | READONLY | CORRUPT_VTAB, _) => false,
        (BUSY, _) => !message.contains("SQL statements in progress"),
        (CANTOPEN, _) => !message.contains("unable to open database: "),
        (_, kind) => matches!(
            kind,
            BUSY | LOCKED | NOMEM | READONLY | IOERR | CORRUPT | FULL | CANTOPEN | PROTOCOL
        ),
    }
}

/// Whether a transaction whose COMMIT failed with this code was certainly not committed,
/// whatever state it is in now: its last page, which makes it valid, was not written.
#[must_use]
pub fn is_disk_full(code: i32) -> bool {
    code & 0xff == FULL || code == IOERR_WRITE
}

/// Whether a constraint of a table was violated.
#[must_use]
pub fn is_constraint(code: i32) -> bool {
    code & 0xff == CONSTRAINT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_match_the_docs() {
        for (code, kind) in [
            (BUSY, ErrorKind::Busy),
            (BUSY | 2 << 8, ErrorKind::Busy),
            (LOCKED, ErrorKind::Backend),
            (LOCKED | 1 << 8, ErrorKind::Busy),
            (PROTOCOL, ErrorKind::Busy),
            (FULL, ErrorKind::StorageFull),
            (READONLY, ErrorKind::Unavailable),
            (CANTOPEN, ErrorKind::Unavailable),
            (NOTADB, ErrorKind::Corrupt),
            (CORRUPT, ErrorKind::Corrupt),
            (TOOBIG, ErrorKind::TooLarge),
            (IOERR_WRITE, ErrorKind::StorageFull),
            (0x010a, ErrorKind::Backend),
            (CONSTRAINT, ErrorKind::Backend),
        ] {
            assert_eq!(explain(code).0, kind, "{code}");
        }
    }

    #[test]
    fn a_mistake_in_statements_is_not_a_storage_error() {
        let locked = "database is locked";
        for (code, message) in [
            (LOCKED, "database table is locked"),
            (BUSY, "cannot open savepoint - SQL statements in progress"),
            (BUSY, "cannot release savepoint - SQL statements in progress"),
            (READONLY, "attempt to write a readonly database"),
            (CANTOPEN, "unable to open database: /nowhere/other.db"),
            (NOTADB, "file is not a database"),
            (CORRUPT_VTAB, "database disk image is malformed"),
            (1, "no such table: board"),
            (CONSTRAINT, "constraint failed"),
            (TOOBIG, "string or blob too big"),
            (23, "not authorized"),
        ] {
            assert!(!is_storage_error(code, message), "{code}: {message}");
        }
        // SHAREDCACHE and VTAB; RECOVERY, SNAPSHOT and TIMEOUT; DBMOVED.
        for code in [LOCKED | 1 << 8, LOCKED | 2 << 8, BUSY, BUSY | 1 << 8, BUSY | 2 << 8]
            .into_iter()
            .chain([BUSY | 3 << 8, READONLY | 4 << 8, NOMEM, IOERR, IOERR | 3 << 8, CORRUPT])
            .chain([FULL, CANTOPEN, PROTOCOL])
        {
            assert!(is_storage_error(code, locked), "{code}");
        }
    }
}
