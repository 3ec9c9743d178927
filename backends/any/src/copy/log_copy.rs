use std::sync::Arc;
use std::time::Duration;

use downlink::error::FailedCheck;
use downlink::store::{Import, ImportStore};
use downlink::{Cursor, Error, ErrorKind, Event, EventStore, Read, Result, StreamId, Version};

use super::comparison::{Comparison, Part};
use super::log_reader::LogReader;
use super::place::{Place, runs_of};
use super::progress::{Phase, Progress};

/// The pauses before an import is tried again after an error that may pass.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// How often the place in a target that others append to is looked for again, for one batch.
const ATTEMPTS: u32 = 1_000;

/// Copies a log into another store, with all that belongs to its events: positions, ids, versions,
/// times, metadata, and every byte. So cursors of the original are valid in the copy.
///
/// Events are stored in batches, each in one durable transaction. A copy that was interrupted in
/// any way, also by a crash, is continued by the next call, which begins where the target ends.
///
/// The target has to be empty, or to have been filled by this: a target with events of its own is
/// refused before anything is written, unless [`into_existing`](Self::into_existing) is called.
/// Nothing else may write to it meanwhile. If something does, the copy notices it at its next batch
/// and ends with an error.
///
/// The original may be read and appended to during the copy. Read models are not copied: their
/// tables are of the application, and they are built again from the copy.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use std::sync::Arc;
///
/// use downlink::{EventStoreExt, Expected, MemoryStore, NewEvent};
/// use downlink_any::copy::LogCopy;
///
/// let (from, to) = (MemoryStore::new(), MemoryStore::new());
/// let departed = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#)?;
/// from.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
///
/// let copy = LogCopy::new(Arc::new(from), Arc::new(to));
/// let copied = copy.run(|progress| println!("{} events", progress.events)).await?;
/// assert!(copy.compare(copied.head, |_| ()).await?.is_identical());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LogCopy {
    from: Arc<dyn EventStore>,
    to: Arc<dyn ImportStore>,
    source: Option<String>,
}

/// The result of copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Where the target ended before: the start if it was empty.
    pub resumed_at: Cursor,
    /// How many events this run has copied.
    pub events: u64,
    /// The last event of the copy: where the original ended when the copy began.
    pub head: Cursor,
    /// Where the original ends now. Run again to copy what came meanwhile.
    pub original: Cursor,
}

impl LogCopy {
    /// A copy of the log in `from` to the store `to`.
    #[must_use]
    pub fn new(from: Arc<dyn EventStore>, to: Arc<dyn ImportStore>) -> Self {
        Self { from, to, source: None }
    }

    /// Copies into a target that has events of its own. The original has the name `source` there, which
    /// no other log that is copied into it may have.
    ///
    /// **Positions change**: the events follow those of the target, in the same distances. All else is
    /// the same, also their times, so that the times of the target decrease where they begin. No
    /// stream may be in both logs. Others may append to the target meanwhile.
    ///
    /// A cursor of the original is translated by a hub of the target that is started
    /// [with moved cursors](downlink::hub::HubBuilder::with_moved_cursors), unless its subscription
    /// would skip events that match its filter and that the target had before. All other
    /// cursors of the original are refused, so that their clients load again.
    #[must_use]
    pub fn into_existing(self, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Copies what the target does not have yet, up to where the original ends now.
    ///
    /// # Errors
    ///
    /// The events that were copied before stay, and the next call continues after them:
    ///
    /// - [`Conflict`](ErrorKind::Conflict) if the target has other events than the original, or one of
    ///   its streams, before anything is written, and if another writer appends to it meanwhile;
    /// - [`CursorAhead`](ErrorKind::CursorAhead) and
    ///   [`HistoryChanged`](ErrorKind::HistoryChanged) if one of the logs is replaced meanwhile;
    /// - those of reading the original, and of [`ImportStore::import`]. What may pass is tried again
    ///   for some seconds.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the target has the events of some batches, each complete.
    pub async fn run(&self, mut progress: impl FnMut(Progress) + Send) -> Result<Copied> {
        let end = self.end().await?;
        let mut place = self.place().await?;
        let resumed_at = place.original;
        if self.source.is_some() {
            self.check_streams(resumed_at, end, &mut progress).await?;
        }
        let mut done = Progress::begin(Phase::Copying, resumed_at, end);
        let mut reader = LogReader::new(&*self.from, resumed_at, end.position());
        reader.fill().await?;
        while !reader.events.is_empty() {
            let events = Vec::from(std::mem::take(&mut reader.events));
            // The next page is read while this one is written.
            let (stored, filled) = tokio::join!(self.store(&mut place, &events), reader.fill());
            stored?;
            done.advance(events.len(), place.original);
            progress(done);
            filled?;
        }
        let original = self.end().await?;
        Ok(Copied { resumed_at, events: done.events, head: done.at, original })
    }

    /// Where the original ends now.
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn end(&self) -> Result<Cursor> {
        self.from.head().await
    }

    /// Compares the original with the copy, event by event, up to this event of the original, such
    /// as [`Copied::head`].
    ///
    /// # Errors
    ///
    /// Those of reading the logs.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn compare(
        &self,
        end: Cursor,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Comparison> {
        let parts = match &self.source {
            None => vec![Part::whole(end)],
            Some(source) => Part::of_runs(runs_of(&*self.to, source).await?, end),
        };
        Comparison::of(&*self.from, &*self.to, parts, end, &mut progress).await
    }

    async fn place(&self) -> Result<Place> {
        match &self.source {
            None => Place::in_a_copy(&*self.from, &*self.to).await,
            Some(source) => Place::among_others(&*self.from, &*self.to, source).await,
        }
    }

    /// Refuses a log with a stream that the target has, too.
    async fn check_streams(
        &self,
        after: Cursor,
        end: Cursor,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<()> {
        let mut done = Progress::begin(Phase::Checking, after, end);
        let mut reader = LogReader::new(&*self.from, after, end.position());
        loop {
            reader.fill().await?;
            let events = std::mem::take(&mut reader.events);
            let Some(last) = events.back().map(Event::cursor) else { return Ok(()) };
            for event in events.iter().filter(|event| event.version() == Version::FIRST) {
                let stream = Read::stream(event.stream().clone()).with_limit(0);
                if self.to.read_stream(stream).await?.stream.is_some() {
                    return Err(in_both(event.stream()));
                }
            }
            done.advance(events.len(), last);
            progress(done);
        }
    }

    /// Stores events after a place of the target. Among events of the target, the place moves with what
    /// others append.
    async fn store(&self, place: &mut Place, events: &[Event]) -> Result<()> {
        let mut attempts = ATTEMPTS;
        let end = events.last().map_or(place.original, Event::cursor);
        loop {
            let (moved, run) = place.moved(events)?;
            let import = Import::new(place.target, moved);
            let import = match run {
                Some(run) => import.with_moved(run),
                None => import,
            };
            match self.import(import).await {
                Ok(target) => {
                    place.advance(end, target);
                    return Ok(());
                }
                Err(error) if self.source.is_some() && has_grown(&error) && attempts > 0 => {
                    attempts -= 1;
                    *place = self.place().await?;
                    if end <= place.original {
                        // An import without an answer has stored them.
                        return Ok(());
                    }
                }
                Err(error) if self.source.is_some() => return Err(error),
                Err(error) => return Err(explained(error)),
            }
        }
    }

    async fn import(&self, import: Import) -> Result<Cursor> {
        let end = import.events().last().map(Event::cursor);
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.to.import(import.clone()).await {
                Ok(head) => return Ok(head),
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| error.is_retryable());
            let Some(pause) = pause else { return Err(error) };
            tokio::time::sleep(pause).await;
            // It may have been stored nevertheless.
            if let Ok(head) = self.to.head().await
                && Some(head) == end
            {
                return Ok(head);
            }
        }
    }
}

fn in_both(stream: &StreamId) -> Error {
    let message = format!(
        "both logs have a stream '{stream}', which cannot have the versions of both: rename it in one \
         of them, or copy into an empty target"
    );
    Error::new(ErrorKind::Conflict, message)
}

/// Whether an import was refused because the log has grown.
fn has_grown(error: &Error) -> bool {
    error.failed_checks().iter().any(|check| matches!(check, FailedCheck::Boundary { .. }))
}

fn explained(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::IdReused => {
            let message = "something else writes to the target: stop it, and copy into an empty \
                           target, because this one has events that the original does not have";
            Error::with_source(ErrorKind::Conflict, message, error)
        }
        _ => error,
    }
}
