//! Errors of PostgreSQL as errors of Downlink: the table in the docs of the crate.

use std::error::Error as StdError;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use downlink::{Error, ErrorKind};

/// Turns an error of the driver into one of Downlink; `doing` completes "could
/// not".
pub(crate) fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| {
        let (kind, what) = meaning(&error);
        Error::with_source(kind, format!("could not {doing}: {what}"), error)
    }
}

pub(crate) fn meaning(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
            (ErrorKind::Corrupt, "the tables have a value that no release writes")
        }
        sqlx::Error::Configuration(_) => (ErrorKind::Invalid, "the address is not valid"),
        sqlx::Error::Database(_) => explain(code(error).unwrap_or_default()),
        sqlx::Error::Encode(_) => (ErrorKind::TooLarge, "it is too large for one statement"),
        _ => (ErrorKind::Unavailable, "the connection failed"),
    }
}

/// The kind and the message for a code, or for its class, which is its first two characters.
fn explain(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "55P03" => return (ErrorKind::Busy, "other writers hold the lock of the log: retry later"),
        "57014" => return (ErrorKind::Unavailable, "it took longer than its deadline"),
        "53100" => return (ErrorKind::StorageFull, "the disk of the server is full"),
        "25006" => return (ErrorKind::Unavailable, "the server is read-only: it is a standby"),
        "42501" => {
            let what =
                "the user lacks a right: grant it, or make the user the owner of the database";
            return (ErrorKind::Backend, what);
        }
        "25P03" => return (ErrorKind::Unavailable, "the server ended an idle transaction"),
        _ => {}
    }
    match code.get(..2).unwrap_or_default() {
        "08" | "57" => (ErrorKind::Unavailable, "the server is shutting down or not available"),
        "28" | "3D" => (
            ErrorKind::Unavailable,
            "the server refused the connection: check user, password and database",
        ),
        "40" => (ErrorKind::Busy, "it conflicted with another transaction: retry later"),
        "53" => (ErrorKind::Unavailable, "the server lacks resources: retry later"),
        "54" => (ErrorKind::TooLarge, "it is too large for the server"),
        "XX" => (ErrorKind::Corrupt, "the server reports corrupted data or an internal error"),
        _ => (ErrorKind::Backend, "the server reported an error"),
    }
}

pub(crate) fn code(error: &sqlx::Error) -> Option<&str> {
    Some(database(error)?.code())
}

fn database(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The error of a statement that needs the store's own transaction, after application code had
/// its connection.
pub(crate) fn not_open(error: sqlx::Error, doing: &str) -> Error {
    if !is_refusal(&error) {
        return failed(doing)(error);
    }
    let (kind, message) = if code(&error) == Some("25P02") {
        let message = "a statement of the transaction has failed and its error was ignored, so \
                       nothing of the transaction is stored: return the error, or run the statement in a \
                       nested transaction";
        (ErrorKind::Invalid, message)
    } else {
        let message = "a statement has ended the transaction, which only the store may do: what was \
                       written before a COMMIT is stored, and the rest is not";
        (ErrorKind::OutcomeUnknown, message)
    };
    Error::with_source(kind, message, error)
}

/// Whether an error is a violation of a constraint.
pub(crate) fn is_constraint(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("23"))
}

/// Whether the server, its disk or another program is the cause of an error, and not the
/// statement.
pub(crate) fn is_storage_error(error: &sqlx::Error) -> bool {
    match database(error) {
        Some(error) => {
            let class = error.code().get(..2).unwrap_or_default();
            matches!(class, "08" | "40" | "53" | "57" | "58" | "XX") || error.code() == "55P03"
        }
        None => matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
        ),
    }
}

/// The error of the driver among the causes of an error.
pub(crate) fn driver_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a sqlx::Error> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

/// Whether the connection is still usable: the server refused a statement and continues.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    match database(error) {
        Some(error) => !matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic),
        // An error in decoding a row; the rest of the answer is read before the next statement.
        None => matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
    }
}

/// Whether a COMMIT that failed with this error certainly stored nothing: a constraint, a
/// serialization failure, or a transaction that had failed. A server that shuts down or waits
/// for a standby may have stored it nevertheless.
pub(crate) fn refuses_commit(error: &sqlx::Error) -> bool {
    let class = code(error).and_then(|code| code.get(..2));
    is_refusal(error) && matches!(class, Some("23" | "25" | "40"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds() {
        let table = [
            ("55P03", ErrorKind::Busy),
            ("40P01", ErrorKind::Busy),
            ("53100", ErrorKind::StorageFull),
            ("53300", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("25P03", ErrorKind::Unavailable),
            ("42501", ErrorKind::Backend),
            ("XX001", ErrorKind::Corrupt),
            ("P0001", ErrorKind::Backend),
            ("", ErrorKind::Backend),
        ];
        for (code, kind) in table {
            assert_eq!(explain(code).0, kind, "{code}");
        }
    }

    #[test]
    fn a_lost_connection_has_no_certain_outcome() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(!is_refusal(&lost) && !refuses_commit(&lost));
        assert_eq!(failed("test")(lost).kind(), ErrorKind::Unavailable);
    }
}
