use std::path::Path;

use downlink::{EventStoreExt, Expected, NewEvent};

use super::Result;

/// The events of one append.
const BATCH: usize = 500;

/// The number of streams.
const STREAMS: usize = 100;

/// Creates a log in a SQLite file with this many events in streams `flight-0` to
/// `flight-99`.
pub(crate) async fn fill(
    file: &Path,
    events: usize,
    event: impl Fn(usize) -> downlink::Result<NewEvent>,
) -> Result<()> {
    let store = downlink_rusqlite::open(file).await?;
    for (number, first) in (0..events).step_by(BATCH).enumerate() {
        let last = events.min(first + BATCH);
        let batch = (first..last).map(&event).collect::<downlink::Result<Vec<_>>>()?;
        let stream = format!("flight-{}", number % STREAMS);
        store.append_to(stream, Expected::Any, batch).await?;
    }
    store.close().await;
    Ok(())
}
