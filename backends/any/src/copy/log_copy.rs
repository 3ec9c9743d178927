use std::sync::Arc;
use std::time::Duration;

use downlink::store::{Import, ImportStore};
use downlink::{Cursor, Error, ErrorKind, Event, EventStore, Result};

use super::comparison::Comparison;
use super::log_reader::{LogReader, event_at};
use super::progress::{Phase, Progress};

/// The pauses before an import is tried again after an error that may pass.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Copies a log into another store, with all that belongs to its events: positions, ids, versions,
/// times, metadata, and every byte. So cursors of the original are valid in the copy.
///
/// Events are stored in batches, each in one durable transaction. A copy that was interrupted in
/// any way, also by a crash, is continued by the next call, which begins where the target ends.
///
/// The target has to be empty, or to have been filled by this: a target with events of its own is
/// refused before anything is written. Nothing else may write to it meanwhile. If something does,
/// the copy notices it at its next batch and ends with an error.
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
        Self { from, to }
    }

    /// Copies what the target does not have yet, up to where the original ends now.
    ///
    /// # Errors
    ///
    /// The events that were copied before stay, and the next call continues after them:
    ///
    /// - [`Conflict`](ErrorKind::Conflict) if the target has other events than the original, before
    ///   anything is written, and if another writer appends to it meanwhile;
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
        let resumed_at = self.resume_at().await?;
        let mut done = Progress::begin(Phase::Copying, resumed_at, end);
        let mut reader = LogReader::new(&*self.from, resumed_at, end.position());
        reader.fill().await?;
        while !reader.events.is_empty() {
            let events = Vec::from(std::mem::take(&mut reader.events));
            let count = events.len();
            let import = self.import(Import::new(done.at, events));
            // The next page is read while this one is written.
            let (imported, filled) = tokio::join!(import, reader.fill());
            done.advance(count, imported?);
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
        Comparison::of(&*self.from, &*self.to, end, &mut progress).await
    }

    /// Where the target ends, which has to be a place of the original with the same event.
    async fn resume_at(&self) -> Result<Cursor> {
        let head = self.to.head().await?;
        if head == Cursor::START {
            return Ok(head);
        }
        let at = head.position();
        let (original, copy) =
            tokio::try_join!(event_at(&*self.from, at), event_at(&*self.to, at))?;
        if copy.is_some() && original == copy {
            return Ok(head);
        }
        Err(Error::new(ErrorKind::Conflict, refusal(head, copy.as_ref())))
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
            let Some(pause) = pause else { return Err(explained(error)) };
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

fn refusal(head: Cursor, last: Option<&Event>) -> String {
    let last = last.map_or_else(String::new, |event| {
        format!(", version {} of '{}'", event.version().get(), event.stream())
    });
    format!(
        "the target ends with an event that the original does not have there (position {}{last}): \
         copy into an empty target; if this is a copy that is in use already, compare only",
        head.position()
    )
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
