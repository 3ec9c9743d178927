use std::time::Duration;

use downlink::store::Appended;
use downlink::{Append, Cursor, ErrorKind, EventStore, Result};
use futures::{Stream, StreamExt};

use super::Progress;
use super::batcher::Batch;

/// The number of concurrent appends; the store commits them in groups.
const MAX_CONCURRENT: usize = 64;
/// The number of retries of an append after a transient error.
const MAX_RETRIES: u32 = 6;
/// The pause before the first retry; it doubles with each retry.
const PAUSE: Duration = Duration::from_millis(10);

/// The result of all appends.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stored: u64,
    pub(super) existing: u64,
    pub(super) finished: u64,
    pub(super) cursor: Option<Cursor>,
}

/// Appends all batches of the stream.
pub(super) async fn append(
    store: &dyn EventStore,
    batches: impl Stream<Item = Batch>,
    progress: &mut Progress,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let offer = async |batch: Batch| (store.append(batch.append.clone()).await, batch);
    let mut offered = std::pin::pin!(batches.map(offer).buffered(MAX_CONCURRENT));
    while let Some((outcome, batch)) = offered.next().await {
        let Batch { append, finished } = batch;
        let events = u64::try_from(append.events().count()).unwrap_or(u64::MAX);
        let appended = match outcome {
            Err(error) if is_retryable(error.kind()) => retry(store, append).await,
            outcome => outcome,
        }?;
        *if appended.duplicate { &mut tally.existing } else { &mut tally.stored } += events;
        tally.finished += finished;
        tally.cursor = Some(appended.cursor);
        progress.advance(events, finished);
    }
    Ok(tally)
}

/// A conflict can occur if an append overtook the previous one. The previous one is stored
/// by now, so the same append can succeed.
fn is_retryable(kind: ErrorKind) -> bool {
    kind == ErrorKind::Conflict || is_transient(kind)
}

fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Busy | ErrorKind::Overloaded | ErrorKind::OutcomeUnknown)
}

/// Retries an append. Its event ids ensure that it is stored once.
async fn retry(store: &dyn EventStore, append: Append) -> Result<Appended> {
    let mut pause = PAUSE;
    for _ in 0..MAX_RETRIES {
        match store.append(append.clone()).await {
            Err(error) if is_transient(error.kind()) => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    store.append(append).await
}
