use std::sync::Arc;

use super::shared::Shared;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::store::{Append, Appended};
use crate::supervise::unwound;

/// Appends to a store that reports its commits. The store owns the append once
/// it is queued, so dropping the caller's future does not cancel it.
pub(super) async fn append_reported(shared: &Shared, append: Append) -> Result<Appended> {
    // Counted until it returns: a shutdown waits for it.
    let _under_way = shared.appends.token();
    if shared.stop.is_cancelled() {
        return Err(shut_down());
    }
    shared.store.append(append).await
}

/// Appends to a store that does not report its commits, and adds a hint. This
/// runs in a task of the hub, so that dropping the caller's future cancels
/// neither the append nor the hint.
pub(super) async fn append_and_hint(shared: &Arc<Shared>, append: Append) -> Result<Appended> {
    let _under_way = shared.appends.token();
    if shared.stop.is_cancelled() {
        return Err(shut_down());
    }
    let task = shared.appends.spawn(append_in_task(Arc::clone(shared), append));
    task.await.unwrap_or_else(|error| Err(unknown(error)))
}

async fn append_in_task(shared: Arc<Shared>, append: Append) -> Result<Appended> {
    let outcome = unwound(async { shared.store.append(append).await }).await;
    let outcome = outcome.unwrap_or_else(|panic| Err(unknown(panic)));
    match &outcome {
        Ok(appended) => shared.pending_hint.stored(appended.last()),
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => shared.pending_hint.anything(),
        Err(_) => return outcome,
    }
    shared.wake_tail.notify_one();
    outcome
}

fn unknown(cause: impl Into<BoxError>) -> Error {
    let message = "the append ended without a result: repeat it with the same event ids";
    Error::with_source(ErrorKind::OutcomeUnknown, message, cause)
}

fn shut_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the hub was shut down: append through a new one")
}
