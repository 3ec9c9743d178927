use bytes::Bytes;
use downlink::transport::Frame;
use downlink::{Item, Subscription};

use super::frame_buffer::FrameBuffer;
use crate::wire::{self, Label, Renderer};

/// The limits of one message; a single event may be larger. One message per event
/// would be twenty times slower.
const MAX_EVENTS: usize = 64;
const MAX_BYTES: usize = 16 << 10;

/// Writes the items of one subscription that are available in memory, with the
/// events batched into messages.
pub(super) struct BatchWriter<'a, T> {
    sub: &'a Label,
    out: &'a mut FrameBuffer<T>,
    renderer: &'a Renderer,
    envelopes: Vec<Bytes>,
    bytes: usize,
}

impl<'a, T> BatchWriter<'a, T> {
    pub(super) fn new(sub: &'a Label, out: &'a mut FrameBuffer<T>, renderer: &'a Renderer) -> Self {
        Self { sub, out, renderer, envelopes: Vec::new(), bytes: 0 }
    }

    pub(super) fn write(mut self, first: &Item, subscription: &mut Subscription) {
        let mut fits = self.push(first);
        while fits && let Some(item) = subscription.try_next() {
            fits = self.push(&item);
        }
        self.finish();
    }

    /// Returns `false` if the batch is full.
    fn push(&mut self, item: &Item) -> bool {
        let Item::Event(event) = item else {
            self.finish();
            self.out.push_text(&wire::frame_json(&control(item), Some(self.sub.as_str())));
            return true;
        };
        let envelope = self.renderer.envelope(event);
        let fits = self.bytes + envelope.len() <= MAX_BYTES;
        if !fits {
            self.finish();
        }
        self.bytes += envelope.len() + 1;
        self.envelopes.push(envelope);
        fits && self.envelopes.len() < MAX_EVENTS
    }

    /// Writes the events so far as one message.
    fn finish(&mut self) {
        if self.envelopes.is_empty() {
            return;
        }
        let len = wire::events_len(self.sub, &self.envelopes);
        self.out.push_text_parts(len, wire::events_parts(self.sub, self.envelopes.drain(..)));
        self.bytes = 0;
    }
}

fn control(item: &Item) -> Frame {
    match *item {
        Item::Live { cursor, head } => Frame::Live { cursor, head },
        Item::Behind { cursor, head } => Frame::Behind { cursor, head },
        // Item is non-exhaustive: any other kind moves the cursor.
        _ => Frame::Checkpoint { cursor: item.cursor() },
    }
}
