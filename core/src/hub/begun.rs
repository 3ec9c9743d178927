use futures::FutureExt;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::supervise::unwound;

/// Runs `work` to its end, even if the caller stops waiting.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match begin(work) {
        Begun::Done(outcome) => outcome,
        Begun::InTask(task) => task.await.unwrap_or_else(|error| Err(ended(error))),
    }
}

/// Runs `work` while the caller waits, which may be busy with something else for a long time.
/// `begins_here` is false if it first waits for what only its task should be given.
pub(super) async fn attached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
    begins_here: bool,
) -> Result<T> {
    let begun = if begins_here { begin(work) } else { Begun::InTask(tokio::spawn(work)) };
    match begun {
        Begun::Done(outcome) => outcome,
        Begun::InTask(task) => {
            AbortOnDropHandle::new(task).await.unwrap_or_else(|error| Err(ended(error)))
        }
    }
}

enum Begun<T> {
    Done(Result<T>),
    InTask(JoinHandle<Result<T>>),
}

/// Begins `work` here and goes on with it in a task. Without a beginning it would wait as long
/// as the caller is busy: a runtime starts a new task on the thread of its caller.
fn begin<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Begun<T> {
    let mut work = unwound(work).map(Result::flatten).boxed();
    match (&mut work).now_or_never() {
        Some(outcome) => Begun::Done(outcome),
        None => Begun::InTask(tokio::spawn(work)),
    }
}

fn ended(error: JoinError) -> Error {
    Error::with_source(ErrorKind::Backend, "a read of the log ended without a result", error)
}
