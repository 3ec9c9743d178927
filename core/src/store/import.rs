use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::id::Position;
use crate::store::{EventStore, Moved};

/// A store that can write the events of another log as they are, to move a log
/// from one store to another.
///
/// # Contract
///
/// Every such store guarantees, in addition to what an [`EventStore`] does:
///
/// 1. **As they are.** Imported events are read back as they were in the other
///    log: position, id, stream, version, time, and every byte, also content
///    that an append would refuse \[`imported_events_are_unchanged`\].
/// 2. **All or nothing.** A refused import writes nothing
///    \[`a_refused_import_writes_nothing`\].
/// 3. **No other writer.** An import succeeds only if the log ends where it is
///    expected to end, at the instant at which it is stored
///    \[`an_import_notices_another_writer`\].
/// 4. **Appends continue.** After an import, appends get later positions and
///    the next versions, ids are known, and followers are told
///    \[`appends_continue_after_an_import`\].
/// 5. **Moved positions are known.** Where events of another log are is stored
///    with them, or not at all \[`moved_positions_are_stored_with_their_events`\].
#[async_trait]
pub trait ImportStore: EventStore {
    /// Writes events at the end of the log, all or nothing, and returns the new
    /// end of the log. When this returns `Ok`, they are as durable as appended
    /// ones.
    ///
    /// The limits of appends do not apply. Neither does the clock: events keep
    /// their times.
    ///
    /// # Errors
    ///
    /// Nothing was written after any of these except the last:
    ///
    /// - [`Conflict`](crate::ErrorKind::Conflict) if the log has grown past
    ///   [`Import::after`], because of another writer, and if a version is not
    ///   the next one of its stream;
    /// - [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    ///   [`HistoryChanged`](crate::ErrorKind::HistoryChanged) if [`Import::after`] does
    ///   not belong to this log;
    /// - [`IdReused`](crate::ErrorKind::IdReused) if an id is stored already;
    /// - [`Invalid`](crate::ErrorKind::Invalid) as in [`Import::validate`];
    /// - [`Overloaded`](crate::ErrorKind::Overloaded), [`Busy`](crate::ErrorKind::Busy),
    ///   [`StorageFull`](crate::ErrorKind::StorageFull) and
    ///   [`Unavailable`](crate::ErrorKind::Unavailable), after which it may be repeated;
    /// - [`TooLarge`](crate::ErrorKind::TooLarge), [`Corrupt`](crate::ErrorKind::Corrupt) and
    ///   [`Backend`](crate::ErrorKind::Backend);
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): [`EventStore::head`]
    ///   tells whether it was stored.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all of the events are stored or none.
    async fn import(&self, import: Import) -> Result<Cursor>;

    /// Where events of other logs are in this one, as [`Import::with_moved`] has
    /// stored it: sorted by the name of the log and the position there. Empty for
    /// a log whose events have the positions with which they were stored first.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`Corrupt`](crate::ErrorKind::Corrupt) and
    /// [`Backend`](crate::ErrorKind::Backend).
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    async fn moved(&self) -> Result<Vec<Moved>>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ImportStore + ?Sized> ImportStore for Arc<S> {
    async fn import(&self, import: Import) -> Result<Cursor> {
        (**self).import(import).await
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        (**self).moved().await
    }
}

/// Events of another log, to be written as they are; see [`ImportStore`].
#[derive(Clone)]
pub struct Import {
    after: Cursor,
    events: Vec<Event>,
    moved: Option<Moved>,
}

impl Import {
    /// Creates an import of these events into a log that ends at this cursor.
    #[must_use]
    pub fn new(after: Cursor, events: Vec<Event>) -> Self {
        Self { after, events, moved: None }
    }

    /// Stores where the events are, which have other positions than in their log. A
    /// later import with the same source and the same `old_from` replaces it.
    #[must_use]
    pub fn with_moved(self, moved: Moved) -> Self {
        Self { moved: Some(moved), ..self }
    }

    /// Where the events are, if that is to be stored.
    #[must_use]
    pub fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    /// Where the log has to end.
    #[must_use]
    pub fn after(&self) -> Cursor {
        self.after
    }

    /// The events, in the order of the log.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events, in the order of the log.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// The size of all events, in bytes of [`Event::size`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.events.iter().map(Event::size).fold(0, usize::saturating_add)
    }

    /// Checks what can be checked without the log.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if there are no events, or their positions
    /// do not increase from [`after`](Self::after) on, or leave no room for a
    /// later event, or do not end where they were [moved](Self::with_moved) to.
    pub fn validate(&self) -> Result<()> {
        if self.events.is_empty() {
            return Err(Error::invalid("an import has no events: give it at least one"));
        }
        let mut last = self.after.position();
        for event in &self.events {
            let position = event.position();
            if position <= last || position == Position::MAX {
                return Err(Error::invalid(format!(
                    "an event cannot be imported at position {position} after {last}: import the \
                     events of a log in its order, into a log that ends before them"
                )));
            }
            last = position;
        }
        if self.moved.as_ref().is_some_and(|moved| moved.new_to() != Some(last)) {
            return Err(Error::invalid("an import does not end where its events were moved to"));
        }
        Ok(())
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("after", &self.after)
            .field("events", &self.events.len())
            .field("moved", &self.moved)
            .finish()
    }
}
