//! A transaction that is not for appends.

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::sql;

use crate::Tx;
use crate::error::failed;
use crate::transaction::{execute, is_certain};

/// How a transaction ends that did not fail.
pub(crate) enum End<T> {
    Commit(T),
    /// Nothing is written.
    TakeBack(T),
}

/// Runs `work` in a transaction, durably if it commits. After any error but
/// that of the beginning the connection is to be given up.
pub(crate) fn run<T>(tx: &mut Tx, work: impl FnOnce(&mut Tx) -> Result<End<T>>) -> Result<T> {
    let (value, text) = match work(tx)? {
        End::Commit(value) => (value, sql::COMMIT),
        End::TakeBack(value) => (value, sql::ROLLBACK),
    };
    // Whoever was to be taken back may have ended the transaction already.
    if text == sql::ROLLBACK && tx.is_autocommit() {
        return Ok(value);
    }
    match execute(tx, text) {
        Ok(()) => Ok(value),
        Err(error) if text == sql::ROLLBACK || is_certain(tx, &error) => {
            Err(failed("end a transaction")(error))
        }
        Err(error) => Err(Error::with_source(
            ErrorKind::OutcomeUnknown,
            "whether a transaction was committed could not be found out: repeat it",
            error,
        )),
    }
}
