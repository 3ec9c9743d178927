//! A transaction that is not for appends.

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{is_full, sql};
use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};

use crate::error::{code, failed};
use crate::guard::Guard;

/// How a transaction ends that did not fail.
pub(crate) enum End<T> {
    Commit(T),
    /// Nothing is written.
    TakeBack(T),
    /// The same, and nobody knows what was done to the connection.
    GiveUp(T),
}

/// What is done in a transaction of its own. The guard may be raised in it.
pub(crate) type Work<T> = Box<
    dyn for<'a> FnOnce(&'a mut SqliteConnection, &'a Guard) -> BoxFuture<'a, Result<End<T>>> + Send,
>;

/// What came of it, and whether the connection may be used again.
pub(crate) struct Ended<T> {
    pub(crate) result: Result<T>,
    pub(crate) is_usable: bool,
}

impl<T> Ended<T> {
    fn of(is_usable: bool, result: Result<T>) -> Self {
        Self { result, is_usable }
    }
}

/// Runs `work` in a transaction, durably if it commits. sqlx knows of it, so
/// that a projection may nest others in it.
pub(crate) async fn run<T>(
    connection: &mut SqliteConnection,
    guard: &Guard,
    work: Work<T>,
) -> Ended<T> {
    let begun = connection.begin_with(sql::BEGIN_WRITE).await;
    let mut transaction = match begun.map_err(failed("begin a transaction")) {
        Ok(transaction) => transaction,
        Err(error) => return Ended::of(error.kind() == ErrorKind::Busy, Err(error)),
    };
    match work(&mut transaction, guard).await {
        Ok(End::Commit(value)) => match transaction.commit().await {
            Ok(()) => Ended::of(true, Ok(value)),
            Err(error) => Ended::of(false, Err(not_committed(connection, error).await)),
        },
        Ok(End::TakeBack(value)) => Ended::of(transaction.rollback().await.is_ok(), Ok(value)),
        Ok(End::GiveUp(value)) => Ended::of(false, Ok(value)),
        Err(error) => Ended::of(false, Err(error)),
    }
}

/// A transaction that was still open, so that sqlx could take it back, or whose
/// last page did not fit the disk, was not committed. Of any other that failed
/// nobody knows.
async fn not_committed(connection: &mut SqliteConnection, error: sqlx::Error) -> Error {
    let is_taken_back = connection.ping().await.is_ok() && !connection.is_in_transaction();
    if is_taken_back || code(&error).is_some_and(is_full) {
        return failed("end a transaction")(error);
    }
    Error::with_source(
        ErrorKind::OutcomeUnknown,
        "whether a transaction was committed could not be found out: repeat it",
        error,
    )
}
