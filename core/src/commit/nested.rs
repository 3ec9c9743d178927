use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{Error, Result};

thread_local! {
    /// The writer whose job this thread currently polls; 0 for none.
    static CURRENT_WRITER: Cell<usize> = const { Cell::new(0) };
}

/// Marks a job as running inside a writer's transaction while it is polled, so
/// that calls of the same writer from inside the job are refused. They would
/// deadlock: the call would wait for the transaction, and the transaction for
/// the call.
pub(super) struct InsideWriter<F> {
    job: F,
    writer: usize,
}

impl<F> InsideWriter<F> {
    pub(super) fn new(job: F, writer: usize) -> Self {
        Self { job, writer }
    }
}

impl<F: Future + Unpin> Future for InsideWriter<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        inside_writer(self.writer, || Pin::new(&mut self.job).poll(cx))
    }
}

/// Runs a closure that is marked as running inside a writer's transaction.
pub(crate) fn inside_writer<T>(writer: usize, work: impl FnOnce() -> T) -> T {
    let _restore = RestoreOnDrop(CURRENT_WRITER.replace(writer));
    work()
}

/// Restores the previous writer, even after a panic.
struct RestoreOnDrop(usize);

impl Drop for RestoreOnDrop {
    fn drop(&mut self) {
        CURRENT_WRITER.set(self.0);
    }
}

/// Refuses a call from inside a transaction of the same writer.
pub(crate) fn refuse_nested(writer: usize) -> Result<()> {
    if CURRENT_WRITER.get() == writer {
        return Err(Error::invalid(
            "a call of the store from inside its own transaction would wait forever: \
             append through the transaction, or after it",
        ));
    }
    Ok(())
}
