//! Errors of SQLite as errors of Downlink: the table in the docs of the crate.

use std::error::Error as _;
use std::iter::successors;

use downlink::{Error, ErrorKind};
use downlink_sqlite_schema::explain;

/// Turns an error of the driver into one of Downlink; `doing` completes "could
/// not".
pub(crate) fn failed(doing: &str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| {
        let (kind, what) = meaning(&error);
        Error::with_source(kind, format!("could not {doing}: {what}"), error)
    }
}

/// The kind and the message for an error of the driver.
pub(crate) fn meaning(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows => {
            (ErrorKind::Corrupt, "the file has a value that no release writes")
        }
        error => explain(error.sqlite_error().map_or(0, |error| error.extended_code)),
    }
}

/// The extended result code under an error, or zero if SQLite is not its cause.
pub(crate) fn code_under(error: &Error) -> i32 {
    successors(error.source(), |&cause| cause.source())
        .find_map(|cause| cause.downcast_ref::<rusqlite::Error>()?.sqlite_error())
        .map_or(0, |error| error.extended_code)
}

/// The extended result code of SQLite and its message, if SQLite is the cause.
pub(crate) fn code_and_message(error: &rusqlite::Error) -> Option<(i32, String)> {
    Some((error.sqlite_error()?.extended_code, error.to_string()))
}

/// The error of a call on a store that is closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// The error of a call whose thread panicked in code of the store; `did` completes "a thread
/// that".
pub(crate) fn panicked(did: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!("a thread that {did} has panicked: see the panic message in the log"),
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn of(code: i32) -> Error {
        failed("test")(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
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
