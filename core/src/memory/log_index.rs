use std::collections::HashMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use crate::commit::{Facts, LogHead, Needs};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::{Event, Timestamp};
use crate::id::{EventId, Position, StreamId, Version};
use crate::store::{Direction, Mark, Page, Read, ReadLog, ReadStream, StreamSpan};

/// How many events are scanned for one page. A read with a sparse filter
/// returns what it has found until then.
const SCAN_BUDGET: usize = 10_000;

/// An in-memory index of a log that finds events by position, id and stream.
///
/// For stores whose events are kept elsewhere. `At` is what the store needs to
/// fetch an event: an offset in a file, a key, or the event itself. The index
/// implements what the contract of [`EventStore`](crate::EventStore) requires
/// of reads and of [`Driver::facts`](crate::commit::Driver::facts): it verifies
/// cursors, filters events, bounds pages, and reports how far a page has
/// scanned.
///
/// Events may be added during reads. A page is a snapshot of the time when its
/// read began, and no lock is held while an event is fetched.
#[derive(Debug)]
pub struct LogIndex<At> {
    entries: RwLock<Entries<At>>,
}

#[derive(Clone, Debug)]
struct Entries<At> {
    /// In log order.
    rows: Vec<(Cursor, At)>,
    /// Indexes of `rows`, by event id.
    ids: HashMap<EventId, usize>,
    /// Indexes of `rows`, by stream, in version order.
    streams: HashMap<StreamId, Vec<usize>>,
    recorded_at: Timestamp,
}

impl<At: Clone> LogIndex<At> {
    /// Creates the index of an empty log.
    #[must_use]
    pub fn new() -> Self {
        let (rows, ids, streams) = (Vec::new(), HashMap::new(), HashMap::new());
        let entries = Entries { rows, ids, streams, recorded_at: Timestamp::EPOCH };
        Self { entries: RwLock::new(entries) }
    }

    /// Adds events at the end of the log. Readers see all of them or none.
    pub fn extend<'e>(&self, events: impl IntoIterator<Item = (&'e Event, At)>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for (event, at) in events {
            let place = entries.rows.len();
            entries.ids.insert(event.id(), place);
            entries.streams.entry(event.stream().clone()).or_default().push(place);
            entries.rows.push((event.cursor(), at));
            entries.recorded_at = event.recorded_at();
        }
    }

    /// The end of the log.
    pub fn head(&self) -> LogHead {
        self.look_up(|entries| {
            let last = entries.rows.last();
            last.map_or(LogHead::EMPTY, |(cursor, _)| LogHead::after(*cursor, entries.recorded_at))
        })
    }

    /// Looks up streams and ids, as [`Driver::facts`](crate::commit::Driver::facts)
    /// does.
    ///
    /// # Errors
    ///
    /// Those of `fetch`.
    pub fn facts(
        &self,
        needs: &Needs<'_>,
        fetch: impl Fn(Position, At) -> Result<Event>,
    ) -> Result<Facts> {
        let mut facts = Facts::default();
        for stream in &needs.streams {
            let count = self.look_up(|entries| entries.streams.get(*stream).map_or(0, Vec::len));
            facts.streams.extend(version(count).map(|version| ((*stream).clone(), version)));
        }
        for id in &needs.ids {
            if let Some(place) = self.look_up(|entries| entries.ids.get(id).copied()) {
                facts.events.insert(*id, self.event(place, &fetch)?);
            }
        }
        Ok(facts)
    }

    /// Reads a page of the log, as
    /// [`EventStore::read_log`](crate::EventStore::read_log) does.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a mark that
    /// does not belong to this log, and those of `fetch`.
    pub fn read_log(
        &self,
        read: &ReadLog,
        fetch: impl Fn(Position, At) -> Result<Event>,
    ) -> Result<Page> {
        self.snapshot(&fetch).log_page(read)
    }

    /// Reads a page of a stream, as
    /// [`EventStore::read_stream`](crate::EventStore::read_stream) does.
    ///
    /// # Errors
    ///
    /// Those of `fetch`.
    pub fn read_stream(
        &self,
        read: &ReadStream,
        fetch: impl Fn(Position, At) -> Result<Event>,
    ) -> Result<Page> {
        self.snapshot(&fetch).stream_page(read)
    }

    fn snapshot<'a, F>(&'a self, fetch: &'a F) -> IndexSnapshot<'a, At, F> {
        let count = self.look_up(|entries| entries.rows.len());
        IndexSnapshot { index: self, count, fetch }
    }

    fn look_up<T>(&self, ask: impl FnOnce(&Entries<At>) -> T) -> T {
        // A poisoned lock is harmless: nothing panics between two changes that belong together.
        ask(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn cursor(&self, place: usize) -> Cursor {
        self.look_up(|entries| entries.rows[place].0)
    }

    fn event(&self, place: usize, fetch: impl Fn(Position, At) -> Result<Event>) -> Result<Event> {
        let (cursor, at) = self.look_up(|entries| entries.rows[place].clone());
        fetch(cursor.position(), at)
    }
}

impl<At: Clone> Default for LogIndex<At> {
    fn default() -> Self {
        Self::new()
    }
}

impl<At: Clone> Clone for LogIndex<At> {
    /// Creates an independent copy.
    fn clone(&self) -> Self {
        Self { entries: RwLock::new(self.look_up(Entries::clone)) }
    }
}

/// The last version of a stream with `count` events.
fn version(count: usize) -> Option<Version> {
    u64::try_from(count).ok().and_then(Version::new)
}

/// The log at one instant: its first `count` events.
struct IndexSnapshot<'a, At, F> {
    index: &'a LogIndex<At>,
    count: usize,
    fetch: &'a F,
}

impl<At: Clone, F: Fn(Position, At) -> Result<Event>> IndexSnapshot<'_, At, F> {
    fn head(&self) -> Cursor {
        self.count.checked_sub(1).map_or(Cursor::START, |last| self.index.cursor(last))
    }

    /// The number of events at or below a position.
    fn count_up_to(&self, position: Position) -> usize {
        self.index.look_up(|entries| {
            entries.rows[..self.count].partition_point(|(cursor, _)| cursor.position() <= position)
        })
    }

    /// Refuses a mark that does not belong to this log.
    fn verify(&self, mark: Mark) -> Result<()> {
        let head = self.head();
        if mark.position() > head.position() {
            return Err(Error::cursor_ahead(mark.position(), head));
        }
        match (mark, self.count_up_to(mark.position()).checked_sub(1)) {
            (Mark::Position(_), _) | (Mark::Cursor(Cursor::START), None) => Ok(()),
            (Mark::Cursor(cursor), Some(place)) if self.index.cursor(place) == cursor => Ok(()),
            (Mark::Cursor(cursor), _) => Err(Error::history_changed(cursor)),
        }
    }

    fn log_page(&self, read: &ReadLog) -> Result<Page> {
        let after = read.after();
        after.map_or(Ok(()), |mark| self.verify(mark))?;
        let range = self.range_after(read.direction(), after.map(Mark::position));
        // The place of a page that has scanned nothing.
        let mark = match read.direction() {
            Direction::Forward => range.start.checked_sub(1),
            Direction::Backward => Some(range.end).filter(|end| *end < self.count),
        };
        let Scanned { events, last, more } = self.scan(read, range, |place| place)?;
        let scanned = match last {
            Some((cursor, _)) => cursor,
            None => mark.map_or(Cursor::START, |place| self.index.cursor(place)),
        };
        Ok(Page { events, scanned, head: self.head(), more, stream: None })
    }

    /// The indexes of the events after a position, in the direction of the
    /// read.
    fn range_after(&self, direction: Direction, position: Option<Position>) -> Range<usize> {
        match (direction, position) {
            (_, None) => 0..self.count,
            (Direction::Forward, Some(after)) => self.count_up_to(after)..self.count,
            (Direction::Backward, Some(before)) => {
                let below = before.get().checked_sub(1).and_then(Position::new);
                0..below.map_or(0, |below| self.count_up_to(below))
            }
        }
    }

    fn stream_page(&self, read: &ReadStream) -> Result<Page> {
        let (stream, after) = (read.stream_id(), read.after());
        let (head, count) = (self.head(), self.stream_count(stream));
        let Some(version) = version(count) else {
            return Ok(Page { events: Vec::new(), scanned: head, head, more: false, stream: None });
        };
        let up_to =
            |version: u64| usize::try_from(version).map_or(count, |number| number.min(count));
        let range = match (read.direction(), after) {
            (_, None) => 0..count,
            (Direction::Forward, Some(after)) => up_to(after.get())..count,
            (Direction::Backward, Some(before)) => 0..up_to(before.get() - 1),
        };
        let place = |number: usize| self.index.look_up(|entries| entries.streams[stream][number]);
        let Scanned { events, last, more } = self.scan(read, range, place)?;
        let scanned = last.filter(|_| more).map_or(head, |(cursor, _)| cursor);
        let span = StreamSpan { version, scanned: last.map(|(_, version)| version).or(after) };
        Ok(Page { events, scanned, head, more, stream: Some(span) })
    }

    fn stream_count(&self, stream: &StreamId) -> usize {
        let count = |places: &Vec<usize>| places.partition_point(|place| *place < self.count);
        self.index.look_up(|entries| entries.streams.get(stream).map_or(0, count))
    }

    /// Scans the events of a range, in the direction of the read, until a bound
    /// of the page is reached.
    fn scan<S>(
        &self,
        read: &Read<S>,
        range: Range<usize>,
        place_of: impl Fn(usize) -> usize,
    ) -> Result<Scanned> {
        let (mut scanned, mut bytes) = (Scanned::default(), 0);
        for step in 0..range.len() {
            scanned.more = step == SCAN_BUDGET || scanned.events.len() >= read.limit();
            if scanned.more {
                break;
            }
            let number = match read.direction() {
                Direction::Forward => range.start + step,
                Direction::Backward => range.end - 1 - step,
            };
            let event = self.index.event(place_of(number), self.fetch)?;
            let place = (event.cursor(), event.version());
            if read.filter().matches_event(&event) {
                bytes += event.size();
                scanned.more = bytes > read.max_bytes() && !scanned.events.is_empty();
                if scanned.more {
                    break;
                }
                scanned.events.push(event);
            }
            scanned.last = Some(place);
        }
        Ok(scanned)
    }
}

/// The result of scanning a range.
#[derive(Default)]
struct Scanned {
    events: Vec<Event>,
    /// The last event that was scanned.
    last: Option<(Cursor, Version)>,
    /// Whether a part of the range is left.
    more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::filter::{Filter, FilterItem};

    fn event(number: usize) -> Event {
        let number = u64::try_from(number).unwrap();
        let (position, version) = (Position::new(number).unwrap(), Version::new(number).unwrap());
        let content = NewEvent::json("FlightDelayed", "{}").unwrap();
        let stream = "flight-UA1545".try_into().unwrap();
        Event::new(position, stream, version, Timestamp::EPOCH, content)
    }

    fn index_of(count: usize) -> LogIndex<Event> {
        let (index, events) = (LogIndex::new(), (1..=count).map(event).collect::<Vec<_>>());
        index.extend(events.iter().map(|event| (event, event.clone())));
        index
    }

    #[test]
    fn a_page_is_a_snapshot() {
        type ReadPage = fn(&LogIndex<Event>, &dyn Fn(Position, Event) -> Result<Event>) -> Page;
        fn stream() -> ReadStream {
            Read::stream(StreamId::from_static("flight-UA1545"))
        }
        let reads: [ReadPage; 4] = [
            |index, fetch| index.read_log(&Read::log(), fetch).unwrap(),
            |index, fetch| index.read_log(&Read::log().backward(), fetch).unwrap(),
            |index, fetch| index.read_stream(&stream(), fetch).unwrap(),
            |index, fetch| index.read_stream(&stream().backward(), fetch).unwrap(),
        ];
        for read in reads {
            let index = index_of(10);
            // While an event is fetched, another one is added.
            let fetch = |_, found: Event| {
                let next = event(index.look_up(|entries| entries.rows.len()) + 1);
                index.extend([(&next, next.clone())]);
                Ok(found)
            };
            let page = read(&index, &fetch);
            assert_eq!((page.events.len(), page.head.position().get()), (10, 10));
            assert!(!page.more && page.stream.is_none_or(|span| span.version.get() == 10));
            assert_eq!(index.head().cursor.position().get(), 20);
        }
    }

    #[test]
    fn a_sparse_filter_returns_what_it_has_found_within_the_budget() {
        let index = index_of(SCAN_BUDGET + 1);
        let gates = FilterItem::new().with_stream_prefix("gate-").unwrap();
        let read = Read::log().with_filter(Filter::any_of([gates]).unwrap());
        let page = index.read_log(&read, |_, event| Ok(event)).unwrap();
        assert!(page.events.is_empty() && page.more);
        assert_eq!(page.scanned, index.cursor(SCAN_BUDGET - 1));
        let rest = index.read_log(&read.with_after(page.scanned), |_, event| Ok(event)).unwrap();
        assert!(!rest.more);
        assert_eq!(rest.scanned, rest.head);
    }

    #[test]
    fn a_cursor_below_the_first_event_is_of_another_history() {
        let index = LogIndex::new();
        let events = [event(5), event(9)];
        index.extend(events.iter().map(|event| (event, event.clone())));
        let page = |mark| index.read_log(&Read::log().with_after(mark), |_, event| Ok(event));
        for position in [3, 7] {
            let error = page(event(position).cursor()).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::HistoryChanged, "{position}");
        }
        assert_eq!(page(Cursor::START).unwrap().events.len(), 2);
        assert_eq!(page(events[0].cursor()).unwrap().events.len(), 1);
    }
}
