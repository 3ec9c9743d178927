use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::cursor::Cursor;
use crate::event::Event;
use crate::hub::Item;

/// A batch is written after this time even if it is not full: a checkpoint
/// without events, or events far from the end of the log.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How close to the end of the log a projection is. `Live` means only that it
/// has passed the end that the log had when the subscription was opened, which
/// may have been hours ago in a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It reads history.
    Behind,
    /// It has passed the end that the log had when the subscription was opened.
    Live,
    /// It has received everything in the log.
    AtHead,
}

/// The limits of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// The events to write next, in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    bytes: usize,
    /// Everything up to here is in the read model or in this batch.
    pub(super) to: Cursor,
    /// When it began to differ from the stored checkpoint.
    since: Option<Instant>,
    /// Whether the end of the log was reached with it.
    pub(super) is_at_head: bool,
}

impl Batch {
    pub(super) fn after(checkpoint: Cursor) -> Self {
        Self { events: Vec::new(), bytes: 0, to: checkpoint, since: None, is_at_head: false }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.looked_up_to(item.cursor());
        if let Item::Event(event) = item {
            self.bytes += event.size();
            self.events.push(event);
        }
    }

    /// Records that nothing else matches up to this cursor.
    pub(super) fn looked_up_to(&mut self, cursor: Cursor) {
        if self.to != cursor {
            self.to = cursor;
            self.since.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn is_full(&self, limits: BatchLimits) -> bool {
        self.events.len() >= limits.events || self.bytes >= limits.bytes
    }

    /// Whether the batch has waited long enough.
    pub(super) fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= MAX_DELAY)
    }

    /// Waits until the batch is due: forever if there is nothing to write.
    pub(super) async fn until_due(&self) {
        match self.since {
            Some(since) => sleep_until(since + MAX_DELAY).await,
            None => std::future::pending().await,
        }
    }
}
