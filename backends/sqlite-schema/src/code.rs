use downlink::ErrorKind;

/// What a result code of SQLite means to a caller, and what to say: the table
/// of the drivers' docs. Extended codes are known by their first byte.
#[must_use]
pub fn explain(code: i32) -> (ErrorKind, &'static str) {
    if code == IOERR_WRITE {
        let what = "the system refuses to write: a quota or the limit of file sizes (ulimit -f) is \
                    reached, or the disk fails";
        return (ErrorKind::StorageFull, what);
    }
    match code & 0xff {
        BUSY | LOCKED => (
            ErrorKind::Busy,
            "another program, or another connection of this one, held the lock past the deadline: keep transactions outside of the store short",
        ),
        FULL => (ErrorKind::StorageFull, "the disk, or the file's quota, is full"),
        READONLY | PERM => (
            ErrorKind::Unavailable,
            "the file or its folder is read-only, and SQLite has to write in both",
        ),
        CANTOPEN => (
            ErrorKind::Unavailable,
            "the file cannot be opened: its folder has to exist and to be writable",
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
pub(crate) const READONLY: i32 = 8;
/// SQLite tells only a full disk from the other causes. It writes to memory of the system, where a
/// failing disk does not show before it is synced, so nearly always this is about room as well.
const IOERR_WRITE: i32 = 0x030a;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
pub(crate) const CANTOPEN: i32 = 14;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
pub(crate) const NOTADB: i32 = 26;

/// Whether a transaction whose COMMIT failed with this code was not committed,
/// whatever state it is in now: its last page, which makes it count, was not written.
#[must_use]
pub fn is_full(code: i32) -> bool {
    code & 0xff == FULL || code == IOERR_WRITE
}

/// Whether a constraint of a table was broken.
#[must_use]
pub fn is_constraint(code: i32) -> bool {
    code & 0xff == CONSTRAINT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_what_the_docs_say() {
        for (code, kind) in [
            (BUSY, ErrorKind::Busy),
            (BUSY | 2 << 8, ErrorKind::Busy),
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
}
