use std::time::Duration;

use downlink::{Append, Appended, Cursor, ErrorKind, EventStore, Result};
use futures::{Stream, StreamExt};

use super::Progress;
use super::cutter::Batch;

/// The appends that are on their way at once; the store commits what comes
/// together in one transaction.
const AT_ONCE: usize = 64;
/// How often an append is repeated because the log was busy or did not answer.
const REPEATS: u32 = 6;
/// The pause before the first repetition; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// What was appended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stored: u64,
    pub(super) known: u64,
    pub(super) finished: u64,
    pub(super) cursor: Option<Cursor>,
}

/// Appends one batch after the other until there are no more.
pub(super) async fn append(
    store: &dyn EventStore,
    batches: impl Stream<Item = Batch>,
    progress: &mut Progress,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let offer = async |batch: Batch| (store.append(batch.append.clone()).await, batch);
    let mut offered = std::pin::pin!(batches.map(offer).buffered(AT_ONCE));
    while let Some((outcome, batch)) = offered.next().await {
        let Batch { append, finished } = batch;
        let events = u64::try_from(append.events().count()).unwrap_or(u64::MAX);
        let appended = match outcome {
            Err(error) if is_worth_repeating(error.kind()) => settle(store, append).await,
            outcome => outcome,
        }?;
        *if appended.duplicate { &mut tally.known } else { &mut tally.stored } += events;
        tally.finished += finished;
        tally.cursor = Some(appended.cursor);
        progress.advance(events, finished);
    }
    Ok(tally)
}

/// A conflict may come from an append that overtook the one before it. That one
/// is settled by now, so the same append can be stored.
fn is_worth_repeating(kind: ErrorKind) -> bool {
    kind == ErrorKind::Conflict || passes(kind)
}

fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Busy | ErrorKind::Overloaded | ErrorKind::OutcomeUnknown)
}

/// Appends again and again while that may help: the ids make sure that it is
/// stored once.
async fn settle(store: &dyn EventStore, append: Append) -> Result<Appended> {
    let mut pause = PAUSE;
    for _ in 0..REPEATS {
        match store.append(append.clone()).await {
            Err(error) if passes(error.kind()) => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    store.append(append).await
}
