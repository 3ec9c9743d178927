use std::sync::Arc;

use super::shared::Shared;
use crate::{Append, Appended, Error, ErrorKind, Result};

/// Appends, and then hints. Runs in a task of the hub, so that a caller who
/// goes away takes neither the append nor the hint along.
pub(super) async fn run(shared: Arc<Shared>, append: Append) -> Result<Appended> {
    let outcome = shared.store.append(append).await;
    let may_be_stored = match &outcome {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::OutcomeUnknown,
    };
    if may_be_stored {
        shared.nudge.notify_one();
        shared.publish.notify_one();
    }
    outcome
}

pub(super) fn shut_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the hub was shut down: append through a new one")
}
