use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use downlink::{Error, ErrorKind, Result};

/// What everybody takes up who waits for an answer of the writer.
#[derive(Debug)]
pub struct Room {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    max_entries: usize,
    max_bytes: usize,
}

impl Room {
    /// Room for so many entries, and for so many bytes of them.
    #[must_use]
    pub fn new(max_entries: usize, max_bytes: usize) -> Arc<Self> {
        let (entries, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { entries, bytes, max_entries, max_bytes })
    }

    /// Takes a place for an entry of so many bytes. One that is larger than the
    /// room has its place if nobody else waits.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) at once if there is none.
    pub fn enter(self: &Arc<Self>, bytes: usize) -> Result<Ticket> {
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

/// A place in the queue, given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.room.entries.fetch_sub(1, Ordering::AcqRel);
        self.room.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
