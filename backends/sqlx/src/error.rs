//! Errors of SQLite as errors of Downlink: the table in the docs of the crate.

use std::error::Error as _;
use std::iter::successors;

use downlink::{Error, ErrorKind};
use downlink_sqlite_schema::explain;

/// Turns an error of the driver into one of Downlink; `doing` completes "could
/// not".
pub(crate) fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| {
        let (kind, what) = meaning(&error);
        Error::with_source(kind, format!("could not {doing}: {what}"), error)
    }
}

/// The kind and the message for an error of the driver.
pub(crate) fn meaning(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
            (ErrorKind::Corrupt, "the file has a value that no release writes")
        }
        sqlx::Error::Io(_) => (ErrorKind::Unavailable, "the system reports an error"),
        error => explain(code(error).unwrap_or_default()),
    }
}

/// The extended result code, if the error comes from SQLite.
pub(crate) fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The extended result code under an error, or zero if SQLite is not its cause.
pub(crate) fn code_under(error: &Error) -> i32 {
    successors(error.source(), |&cause| cause.source())
        .find_map(|cause| code(cause.downcast_ref::<sqlx::Error>()?))
        .unwrap_or_default()
}

/// The extended result code of SQLite and its message, if SQLite is the cause.
pub(crate) fn code_and_message(error: &sqlx::Error) -> Option<(i32, String)> {
    Some((code(error)?, error.as_database_error()?.message().to_owned()))
}

/// The error of a call on a store that is closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// The error of a call whose task panicked in code of the store; `did` completes "a task
/// that".
pub(crate) fn panicked(did: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!("a task that {did} has panicked: see the panic message in the log"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_driver_error_is_the_source() {
        use sqlx::{Connection, SqliteConnection};

        let cannot_open = SqliteConnection::connect("sqlite:/nowhere/flights.db").await;
        let error = failed("test")(cannot_open.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("its folder must exist"), "{error}");
        assert!(error.source().and_then(|source| source.downcast_ref::<sqlx::Error>()).is_some());
    }
}
