use std::collections::HashMap;
use std::mem;

use downlink::{EventId, EventType, StreamId};

use crate::HeadRow;
use crate::links::Chain;

/// The end of a stream: its key, and what its next event links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The key of the stream.
    pub key: i64,
    /// Its last event and those that the next one may jump to.
    pub chain: Chain,
}

/// What a writer remembers from one transaction to the next, so that it need
/// not ask again.
///
/// It is trusted only inside a transaction that began `IMMEDIATE`, and only
/// after [`check`](Self::check) has compared the row of the head, whose
/// generation every append of anybody raises.
#[derive(Debug)]
pub struct Remembered {
    head: Option<HeadRow>,
    max_id: Option<EventId>,
    types: HashMap<EventType, i64>,
    recent: HashMap<StreamId, Tail>,
    older: HashMap<StreamId, Tail>,
    capacity: usize,
}

impl Remembered {
    /// Nothing yet; at most twice `capacity` streams later.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            head: None,
            max_id: None,
            types: HashMap::new(),
            recent: HashMap::new(),
            older: HashMap::new(),
            capacity,
        }
    }

    /// Forgets everything unless `head`, read in this transaction, is where the
    /// last one left off.
    pub fn check(&mut self, head: &HeadRow) {
        if self.head.as_ref() != Some(head) {
            *self = Self::new(self.capacity);
        }
    }

    /// Forgets everything, as after a transaction that failed.
    pub fn forget(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Takes the end of a stream out, to be put back when it is written.
    pub fn take(&mut self, stream: &StreamId) -> Option<Tail> {
        self.recent.remove(stream).or_else(|| self.older.remove(stream))
    }

    /// Remembers the end of a stream.
    pub fn put(&mut self, stream: StreamId, tail: Tail) {
        if self.recent.len() >= self.capacity {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(stream, tail);
    }

    /// The key of a type.
    #[must_use]
    pub fn type_key(&self, event_type: &EventType) -> Option<i64> {
        self.types.get(event_type).copied()
    }

    /// Remembers the key of a type.
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

    /// Remembers that the log has this id and none above those told.
    pub fn put_id(&mut self, id: EventId) {
        self.max_id = self.max_id.max(Some(id));
    }

    /// What was put in since the last check is committed, and the log ends
    /// here.
    pub fn committed(&mut self, head: HeadRow) {
        self.head = Some(head);
    }
}

#[cfg(test)]
mod tests {
    use downlink::{Position, Timestamp, Version};

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

    #[test]
    fn nothing_is_trusted_after_an_append_of_somebody_else() {
        for other in [head(4, 3), head(3, 4)] {
            let mut remembered = Remembered::new(8);
            remembered.check(&head(2, 2));
            remembered.put(stream(1), tail(1));
            remembered.put_id(EventId::from_bytes([9; 16]));
            remembered.committed(head(3, 3));
            remembered.check(&head(3, 3));
            assert_eq!(remembered.max_id(), Some(EventId::from_bytes([9; 16])));
            remembered.check(&other);
            assert_eq!((remembered.take(&stream(1)), remembered.max_id()), (None, None));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut remembered = Remembered::new(8);
        for number in 0..100 {
            remembered.put(stream(number), tail(1));
        }
        let known = (0..100).filter(|number| remembered.take(&stream(*number)).is_some()).count();
        assert!((8..=16).contains(&known), "{known}");
        assert!(remembered.take(&stream(99)).is_none(), "what is taken is taken");
    }
}
