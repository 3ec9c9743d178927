use downlink::commit::LogHead;
use downlink::{Error, ErrorKind, Result};

use crate::HeadRow;

/// What a job is told whose transaction is not open any more.
#[must_use]
pub fn not_open() -> Error {
    let message = "the transaction is not open any more, and nothing of it is stored: an error has \
                   rolled it back, such as a full disk, or a statement has ended it, which only the \
                   store may do";
    Error::new(ErrorKind::Backend, message)
}

/// Checks that the log ends in a job's transaction where its writer has put the
/// end.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) if it does not.
pub fn check_head(found: &HeadRow, head: LogHead) -> Result<()> {
    if found.cursor() == head.cursor {
        return Ok(());
    }
    let message = "an append within the transaction was taken back: do not append between a \
                   savepoint and the ROLLBACK TO it";
    Err(Error::new(ErrorKind::Invalid, message))
}
