use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// The bounds of a writer's queue, in entries and in bytes. What is under way
/// counts until it is answered.
#[derive(Debug)]
pub(super) struct Room {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    max_entries: usize,
    max_bytes: usize,
}

impl Room {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Arc<Self> {
        let (entries, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { entries, bytes, max_entries, max_bytes })
    }

    /// Takes a place for an entry of so many bytes, or is `Overloaded` at once.
    /// An entry that is larger than the room gets a place if it is alone.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Ticket> {
        let entries = self.entries.fetch_add(1, Ordering::AcqRel);
        let waiting = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let ticket = Ticket { room: Arc::clone(self), bytes };
        if entries >= self.max_entries
            || (waiting > 0 && waiting.saturating_add(bytes) > self.max_bytes)
        {
            drop(ticket);
            let message =
                format!("{entries} appends with {waiting} bytes wait already: repeat later");
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        Ok(ticket)
    }
}

/// A place in the room, given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Ticket {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.room.entries.fetch_sub(1, Ordering::AcqRel);
        self.room.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_in_entries_and_in_bytes() {
        let room = Room::new(2, 100);
        let large = room.enter(1_000).expect("alone, however large");
        assert_eq!(room.enter(1).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(large);
        let _two = [room.enter(50).unwrap(), room.enter(50).unwrap()];
        assert_eq!(room.enter(0).unwrap_err().kind(), ErrorKind::Overloaded);
    }
}
