use downlink::commit::LogHead;
use downlink::{Error, ErrorKind, Result};

use crate::head_row::HeadRow;

/// The error of a job whose transaction is not open any more.
#[must_use]
pub fn not_open() -> Error {
    let message = "the transaction is not open any more, and nothing of it is stored: an error such \
                   as a full disk has rolled it back, or a statement has ended it, which only the \
                   store may do";
    Error::new(ErrorKind::Backend, message)
}

/// Checks that, in the transaction of a job, the log ends where the writer has put its
/// end.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) if it does not.
pub fn check_head(found: &HeadRow, head: LogHead) -> Result<()> {
    if found.cursor() == head.cursor {
        return Ok(());
    }
    let message = "an append within the transaction was rolled back: do not append between a \
                   savepoint and the ROLLBACK TO it";
    Err(Error::new(ErrorKind::Invalid, message))
}
