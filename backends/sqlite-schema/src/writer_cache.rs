use std::collections::HashMap;
use std::mem;

use downlink::commit::{Plan, StreamHead};
use downlink::event::Timestamp;
use downlink::{Event, EventId, EventType, Position, StreamId};

use crate::head_row::HeadRow;
use crate::links::Chain;

/// The writer caches the ends of this many streams, and at times of twice as many.
const STREAMS: usize = 65_536;

/// The end of a stream: its key, and what its next event links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The key of the stream.
    pub key: i64,
    /// Its last event and those that the next one may jump to.
    pub chain: Chain,
}

/// What a writer knows of the log inside its transaction, and what it keeps from one
/// transaction to the next to avoid repeated lookups.
///
/// Cached values are trusted only inside a transaction that began `IMMEDIATE`, and only
/// after [`begin`](Self::begin) has compared the row of the head, whose generation every
/// append of any process increases.
#[derive(Debug)]
pub struct WriterCache {
    /// The end of the log in the open transaction.
    head: HeadRow,
    /// The ends of the streams that the open transaction looked up.
    tails: HashMap<StreamId, Tail>,
    /// The end of the log after the last committed transaction.
    committed: Option<HeadRow>,
    max_id: Option<EventId>,
    types: HashMap<EventType, i64>,
    recent: HashMap<StreamId, Tail>,
    older: HashMap<StreamId, Tail>,
    capacity: usize,
}

impl Default for WriterCache {
    fn default() -> Self {
        Self::with_capacity(STREAMS)
    }
}

impl WriterCache {
    /// An empty cache for at most twice `capacity` streams.
    fn with_capacity(capacity: usize) -> Self {
        Self {
            head: HeadRow {
                position: Position::ZERO,
                id: None,
                recorded_at: Timestamp::EPOCH,
                generation: 0,
            },
            tails: HashMap::new(),
            committed: None,
            max_id: None,
            types: HashMap::new(),
            recent: HashMap::new(),
            older: HashMap::new(),
            capacity,
        }
    }

    /// Begins a transaction in which `head` was read. Clears the cache unless the last
    /// transaction ended there.
    pub fn begin(&mut self, head: HeadRow) {
        if self.committed != Some(head) {
            self.clear();
        }
        self.head = head;
    }

    /// The end of the log in the transaction.
    #[must_use]
    pub fn head(&self) -> &HeadRow {
        &self.head
    }

    /// The end of a stream, if it is known.
    pub fn tail(&mut self, stream: &StreamId) -> Option<&mut Tail> {
        if !self.tails.contains_key(stream)
            && let Some(tail) = self.recent.remove(stream).or_else(|| self.older.remove(stream))
        {
            self.tails.insert(stream.clone(), tail);
        }
        self.tails.get_mut(stream)
    }

    /// Adds the end of a stream.
    pub fn put_tail(&mut self, stream: StreamId, tail: Tail) -> &mut Tail {
        self.tails.entry(stream).insert_entry(tail).into_mut()
    }

    /// The key of a type.
    #[must_use]
    pub fn type_key(&self, event_type: &EventType) -> Option<i64> {
        self.types.get(event_type).copied()
    }

    /// Adds the key of a type.
    pub fn put_type(&mut self, event_type: EventType, key: i64) {
        if self.types.len() >= self.capacity {
            self.types.clear();
        }
        self.types.insert(event_type, key);
    }

    /// The highest id of the log.
    #[must_use]
    pub fn max_id(&self) -> Option<EventId> {
        self.max_id
    }

    /// Records that the log has this id, and none above the highest one recorded.
    pub fn put_id(&mut self, id: EventId) {
        self.max_id = self.max_id.max(Some(id));
    }

    /// Records that the transaction appends these rows, of which there is at least one.
    /// The ends of their streams are recorded separately.
    pub fn append(&mut self, rows: &[Event]) {
        for event in rows {
            self.put_id(event.id());
        }
        if let Some(last) = rows.last() {
            self.head = self.head.after(last);
        }
    }

    /// The new ends of the streams that a plan writes, sorted by their keys, because
    /// neighbouring keys share pages.
    pub fn written<'p>(&mut self, plan: &'p Plan) -> Vec<(i64, &'p StreamHead)> {
        let mut written = Vec::with_capacity(plan.streams.len());
        for head in &plan.streams {
            written.extend(self.tail(&head.stream).map(|tail| (tail.key, head)));
        }
        written.sort_unstable_by_key(|(key, _)| *key);
        written
    }

    /// Records that the transaction was committed, and keeps what it knows.
    pub fn commit(&mut self) {
        for (stream, tail) in mem::take(&mut self.tails) {
            if self.recent.len() >= self.capacity {
                self.older = mem::take(&mut self.recent);
            }
            self.recent.insert(stream, tail);
        }
        self.committed = Some(self.head);
    }

    /// Clears the cache, as after a failed transaction.
    pub fn clear(&mut self) {
        *self = Self::with_capacity(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use downlink::{NewEvent, Version};

    use super::*;

    fn head(generation: u64, id: u8) -> HeadRow {
        HeadRow {
            position: Position::new(generation).unwrap(),
            id: Some(EventId::from_bytes([id; 16])),
            recorded_at: Timestamp::EPOCH,
            generation,
        }
    }

    fn tail(key: i64) -> Tail {
        Tail { key, chain: Chain::of_head(Version::FIRST, Position::ZERO.next()) }
    }

    fn stream(number: usize) -> StreamId {
        StreamId::new(format!("s{number}")).unwrap()
    }

    fn event(head: &HeadRow) -> Event {
        let content = NewEvent::json("FlightDelayed", "{}").unwrap();
        let position = head.position.next();
        Event::new(position, stream(1), Version::FIRST, Timestamp::EPOCH, content)
    }

    #[test]
    fn an_append_of_another_writer_clears_the_cache() {
        let mut cache = WriterCache::default();
        cache.begin(head(2, 2));
        cache.put_tail(stream(1), tail(1));
        let event = event(cache.head());
        cache.append(std::slice::from_ref(&event));
        cache.commit();
        let mine = *cache.head();
        cache.begin(mine);
        assert_eq!(cache.max_id(), Some(event.id()));
        assert_eq!(cache.tail(&stream(1)), Some(&mut tail(1)));
        cache.commit();
        for other in [HeadRow { generation: 4, ..mine }, HeadRow { id: head(3, 4).id, ..mine }] {
            let mut cache = WriterCache { committed: Some(mine), ..WriterCache::default() };
            cache.recent.insert(stream(1), tail(1));
            cache.begin(other);
            assert_eq!(cache.tail(&stream(1)), None);
            assert_eq!(cache.max_id(), None);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = WriterCache::with_capacity(8);
        for number in 0..100 {
            cache.begin(head(1, 1));
            cache.put_tail(stream(number), tail(1));
            cache.commit();
        }
        cache.begin(head(1, 1));
        let known = (0..100).filter(|number| cache.tail(&stream(*number)).is_some()).count();
        assert!((8..=16).contains(&known), "{known}");
    }
}
