use bytes::Bytes;
use downlink::{Frame, Item, Subscription};

use super::outlet::Outlet;
use crate::wire::{self, Label};

/// What is one message at most, but for one larger event. A message an event
/// would be twenty times slower.
const MAX_EVENTS: usize = 64;
const MAX_BYTES: usize = 16 << 10;

/// What one subscription says at its turn: an item, and what waits behind it in
/// memory.
pub(super) struct Run<'a, T> {
    sub: &'a Label,
    out: &'a mut Outlet<T>,
    envelopes: Vec<Bytes>,
    bytes: usize,
}

impl<'a, T> Run<'a, T> {
    pub(super) fn new(sub: &'a Label, out: &'a mut Outlet<T>) -> Self {
        Self { sub, out, envelopes: Vec::new(), bytes: 0 }
    }

    pub(super) fn of(mut self, first: &Item, subscription: &mut Subscription) {
        let mut fits = self.push(first);
        while fits && let Some(item) = subscription.try_next() {
            fits = self.push(&item);
        }
        self.finish();
    }

    /// `false` if nothing may follow.
    fn push(&mut self, item: &Item) -> bool {
        let Item::Event(event) = item else {
            self.finish();
            self.out.text(&wire::frame_json(&control(item), Some(self.sub.as_str())));
            return true;
        };
        let envelope = wire::envelope(event);
        let fits = self.bytes + envelope.len() <= MAX_BYTES;
        if !fits {
            self.finish();
        }
        self.bytes += envelope.len() + 1;
        self.envelopes.push(envelope);
        fits && self.envelopes.len() < MAX_EVENTS
    }

    /// Makes the events so far one message.
    fn finish(&mut self) {
        if self.envelopes.is_empty() {
            return;
        }
        let len = wire::events_len(self.sub, &self.envelopes);
        self.out.text_of(len, wire::events_parts(self.sub, self.envelopes.drain(..)));
        self.bytes = 0;
    }
}

fn control(item: &Item) -> Frame {
    match *item {
        Item::Live { cursor, head } => Frame::Live { cursor, head },
        Item::Behind { cursor, head } => Frame::Behind { cursor, head },
        // Whatever else there will be, it moves the cursor.
        _ => Frame::Checkpoint { cursor: item.cursor() },
    }
}
