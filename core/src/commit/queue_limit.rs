use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Bounds a writer's queue in entries and in bytes. An entry counts until its
/// outcome is sent.
#[derive(Debug)]
pub(super) struct QueueLimit {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    max_entries: usize,
    max_bytes: usize,
}

impl QueueLimit {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Arc<Self> {
        let (entries, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { entries, bytes, max_entries, max_bytes })
    }

    /// Acquires a permit for an entry of this many bytes, or fails with
    /// `Overloaded` at once. An entry that exceeds the bound in bytes gets a
    /// permit if it is alone.
    pub(super) fn acquire(self: &Arc<Self>, bytes: usize) -> Result<QueuePermit> {
        let entries = self.entries.fetch_add(1, Ordering::AcqRel);
        let waiting = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let permit = QueuePermit { queue_limit: Arc::clone(self), bytes };
        if entries >= self.max_entries
            || (waiting > 0 && waiting.saturating_add(bytes) > self.max_bytes)
        {
            drop(permit);
            let message =
                format!("{entries} appends with {waiting} bytes are waiting already: retry later");
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        Ok(permit)
    }
}

/// A permit for one entry, returned when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct QueuePermit {
    queue_limit: Arc<QueueLimit>,
    bytes: usize,
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        self.queue_limit.entries.fetch_sub(1, Ordering::AcqRel);
        self.queue_limit.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_in_entries_and_in_bytes() {
        let queue_limit = QueueLimit::new(2, 100);
        let large = queue_limit.acquire(1_000).expect("alone, however large");
        assert_eq!(queue_limit.acquire(1).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(large);
        let _two = [queue_limit.acquire(50).unwrap(), queue_limit.acquire(50).unwrap()];
        assert_eq!(queue_limit.acquire(0).unwrap_err().kind(), ErrorKind::Overloaded);
    }
}
