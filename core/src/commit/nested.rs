use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{Error, Result};

thread_local! {
    /// The writer whose job this thread polls just now; 0 for none.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// A job that is known to run inside a writer's transaction while it is polled,
/// so that a call of the same writer from inside of it is refused: it would wait
/// for the transaction that waits for it.
pub(super) struct Inside<F> {
    job: F,
    writer: usize,
}

impl<F> Inside<F> {
    pub(super) fn new(job: F, writer: usize) -> Self {
        Self { job, writer }
    }
}

impl<F: Future + Unpin> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        inside(self.writer, || Pin::new(&mut self.job).poll(cx))
    }
}

/// Does foreign work that is known to run inside a writer's transaction.
pub(crate) fn inside<T>(writer: usize, work: impl FnOnce() -> T) -> T {
    let _left = Left(POLLED.replace(writer));
    work()
}

/// Restores what was polled before, also after a panic.
struct Left(usize);

impl Drop for Left {
    fn drop(&mut self) {
        POLLED.set(self.0);
    }
}

/// Refuses a call from inside a transaction of the same writer.
pub(crate) fn refuse_nested(writer: usize) -> Result<()> {
    if POLLED.get() == writer {
        return Err(Error::invalid(
            "a call of the store from inside its own transaction would wait for itself: \
             append through the transaction, or after it",
        ));
    }
    Ok(())
}
