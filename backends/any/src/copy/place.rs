use downlink::store::{ImportStore, Moved};
use downlink::{Cursor, Error, ErrorKind, Event, EventStore, Position, Result};

use super::log_reader::event_at;

/// Where a copy goes on.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The last event of the original that is in the target.
    pub(super) original: Cursor,
    /// Where the target ends.
    pub(super) target: Cursor,
    /// Where the next events are in the target, if they get other positions.
    run: Option<Moved>,
}

impl Place {
    /// In a target that has nothing but the copy: where it ends, which has to be a place of the
    /// original with the same event.
    pub(super) async fn in_a_copy(from: &dyn EventStore, to: &dyn ImportStore) -> Result<Self> {
        let head = to.head().await?;
        let place = Self { original: head, target: head, run: None };
        if head == Cursor::START {
            return Ok(place);
        }
        let at = head.position();
        let (original, copy) = tokio::try_join!(event_at(from, at), event_at(to, at))?;
        if copy.is_some() && original == copy {
            return Ok(place);
        }
        Err(refused(head, copy.as_ref()))
    }

    /// In a target with events of its own, to which the events of `source` are added.
    pub(super) async fn among_others(
        from: &dyn EventStore,
        to: &dyn ImportStore,
        source: &str,
    ) -> Result<Self> {
        let (runs, target) = (runs_of(to, source).await?, to.head().await?);
        let first = Position::ZERO.next();
        let Some(last) = runs.last() else {
            let run = new_run(source, first, target);
            return Ok(Self { original: Cursor::START, target, run: Some(run) });
        };
        let there = last.new_to().unwrap_or(Position::MAX);
        let (original, copy) = tokio::try_join!(event_at(from, last.old_to), event_at(to, there))?;
        let (Some(original), Some(copy)) = (original, copy) else { return Err(other(source)) };
        if at(&original, there) != copy {
            return Err(other(source));
        }
        let run = if there == target.position() {
            last.clone()
        } else {
            new_run(source, last.old_to.next(), target)
        };
        Ok(Self { original: original.cursor(), target, run: Some(run) })
    }

    /// The next events as they will be in the target, and where they were moved to.
    pub(super) fn moved(&self, events: &[Event]) -> Result<(Vec<Event>, Option<Moved>)> {
        let Some(run) = &self.run else { return Ok((events.to_vec(), None)) };
        let moved = events.iter().map(|event| moved_by(run, event)).collect::<Result<_>>()?;
        let old_to = events.last().map_or(run.old_to, Event::position);
        Ok((moved, Some(Moved { old_to, ..run.clone() })))
    }

    /// Goes on after these events, which are stored.
    pub(super) fn advance(&mut self, original: Cursor, target: Cursor) {
        (self.original, self.target) = (original, target);
    }
}

fn new_run(source: &str, old_from: Position, target: Cursor) -> Moved {
    let new_from = target.position().next();
    Moved { source: source.to_owned(), old_from, old_to: old_from, new_from }
}

/// Where the events of a source are, in their order.
pub(super) async fn runs_of(to: &dyn ImportStore, source: &str) -> Result<Vec<Moved>> {
    let mut runs = to.moved().await?;
    runs.retain(|run| run.source == source);
    runs.sort_unstable_by_key(|run| run.old_from);
    Ok(runs)
}

/// The same event at its place in the target.
pub(super) fn moved_by(run: &Moved, event: &Event) -> Result<Event> {
    match run.shifted(event.position()) {
        Some(position) => Ok(at(event, position)),
        None => Err(Error::new(ErrorKind::TooLarge, "the target has no positions left")),
    }
}

fn at(event: &Event, position: Position) -> Event {
    let (stream, content) = (event.stream().clone(), event.content().clone());
    Event::new(position, stream, event.version(), event.recorded_at(), content)
}

fn refused(head: Cursor, last: Option<&Event>) -> Error {
    let last = last.map_or_else(String::new, |event| {
        format!(", version {} of '{}'", event.version().get(), event.stream())
    });
    let message = format!(
        "the target ends with an event that the original does not have there (position {}{last}): \
         copy into an empty target; if this is a copy that is in use already, compare only",
        head.position()
    );
    Error::new(ErrorKind::Conflict, message)
}

fn other(source: &str) -> Error {
    let message = format!(
        "the target has events of another log with the name '{source}': give each log that is \
         copied into it a name of its own"
    );
    Error::new(ErrorKind::Conflict, message)
}
