use std::sync::Arc;

use super::shared::Shared;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::store::{Append, Appended};
use crate::supervise::unwound;

/// Appends to a store that tells what it commits. The store owns the append once
/// it is queued, so a caller that goes away takes nothing along.
pub(super) async fn told_by_the_store(shared: &Shared, append: Append) -> Result<Appended> {
    // Counted until it is answered: a shutdown waits for it.
    let _under_way = shared.appends.token();
    if shared.stop.is_cancelled() {
        return Err(shut_down());
    }
    shared.store.append(append).await
}

/// Appends to a store that does not tell, and hints. In a task of the hub, so
/// that a caller that goes away takes neither the append nor the hint along.
pub(super) async fn told_by_the_hub(shared: &Arc<Shared>, append: Append) -> Result<Appended> {
    let _under_way = shared.appends.token();
    if shared.stop.is_cancelled() {
        return Err(shut_down());
    }
    let task = shared.appends.spawn(append_and_hint(Arc::clone(shared), append));
    task.await.unwrap_or_else(|error| Err(unknown(error)))
}

async fn append_and_hint(shared: Arc<Shared>, append: Append) -> Result<Appended> {
    let outcome = unwound(async { shared.store.append(append).await }).await;
    let outcome = outcome.unwrap_or_else(|panic| Err(unknown(panic)));
    match &outcome {
        Ok(appended) => shared.announcement.stored(appended.last()),
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => shared.announcement.anything(),
        Err(_) => return outcome,
    }
    shared.nudge.notify_one();
    outcome
}

fn unknown(cause: impl Into<BoxError>) -> Error {
    let message = "the append ended without an answer: repeat it with the same event ids";
    Error::with_source(ErrorKind::OutcomeUnknown, message, cause)
}

fn shut_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the hub was shut down: append through a new one")
}
