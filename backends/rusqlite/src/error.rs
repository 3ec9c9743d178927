//! What SQLite says, and what callers get: the table of the crate's docs.

use downlink::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Turns an error of the driver into one of Downlink; `doing` completes "could
/// not".
pub(crate) fn failed(doing: &str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| {
        let kind = kind(&error);
        let message = format!("could not {doing}: {}", what(kind, &error));
        Error::with_source(kind, message, error)
    }
}

fn kind(error: &rusqlite::Error) -> ErrorKind {
    let Some(code) = error.sqlite_error_code() else {
        return match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => ErrorKind::Corrupt,
            _ => ErrorKind::Backend,
        };
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ErrorKind::Busy,
        ErrorCode::DiskFull => ErrorKind::StorageFull,
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            ErrorKind::Unavailable
        }
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => ErrorKind::Corrupt,
        ErrorCode::TooBig => ErrorKind::TooLarge,
        _ => ErrorKind::Backend,
    }
}

fn what(kind: ErrorKind, error: &rusqlite::Error) -> &'static str {
    match (kind, error.sqlite_error_code()) {
        (ErrorKind::Busy, _) => "another program held the lock past the deadline",
        (ErrorKind::StorageFull, _) => "the disk, or the file's quota, is full",
        (_, Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied)) => {
            "the file or its folder is read-only, and SQLite has to write in both"
        }
        (_, Some(ErrorCode::CannotOpen)) => {
            "the file cannot be opened: its folder has to exist and to be writable"
        }
        (_, Some(ErrorCode::NotADatabase)) => "the file is not a SQLite database",
        (_, Some(ErrorCode::DatabaseCorrupt)) => "the file is damaged: restore a backup",
        (ErrorKind::Corrupt, _) => "the file has what no release writes",
        (ErrorKind::TooLarge, _) => "a value is too large for SQLite",
        _ => "SQLite reports an error",
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rusqlite::ffi;

    use super::*;

    fn of(code: i32) -> Error {
        failed("test")(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn every_kind_is_what_the_docs_say() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, ErrorKind::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Busy),
            (ffi::SQLITE_FULL, ErrorKind::StorageFull),
            (ffi::SQLITE_READONLY, ErrorKind::Unavailable),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable),
            (ffi::SQLITE_NOTADB, ErrorKind::Corrupt),
            (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_READ, ErrorKind::Backend),
            (ffi::SQLITE_CONSTRAINT, ErrorKind::Backend),
        ] {
            assert_eq!(of(code).kind(), kind, "{code}");
        }
    }

    #[test]
    fn the_driver_error_is_the_source() {
        let error = of(ffi::SQLITE_READONLY);
        assert!(error.to_string().contains("read-only"), "{error}");
        assert!(
            error.source().and_then(|source| source.downcast_ref::<rusqlite::Error>()).is_some()
        );
    }
}
