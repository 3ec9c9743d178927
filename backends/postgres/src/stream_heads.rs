use std::collections::HashMap;

use downlink::commit::{Plan, StreamHead};
use downlink::{Cursor, StreamId, Version};

/// How many streams are known at most.
const MOST: usize = 16_384;

/// The versions of streams that were written to or looked up, as of the end of the log: as long as
/// only this connection appends, they need not be looked up again.
#[derive(Debug)]
pub(crate) struct StreamHeads {
    /// `None` for a stream without events.
    known: HashMap<StreamId, Option<Version>>,
    as_of: Cursor,
    /// What the open transaction has written, and the end of the log after it.
    written: Vec<StreamHead>,
    end: Cursor,
}

impl StreamHeads {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            as_of: Cursor::START,
            written: Vec::new(),
            end: Cursor::START,
        }
    }

    /// Forgets everything if the log ends elsewhere.
    pub(crate) fn begin(&mut self, head: Cursor) {
        self.written.clear();
        self.end = head;
        if head != self.as_of || self.known.len() > MOST {
            self.known.clear();
            self.as_of = head;
        }
    }

    /// Looks up everything again, also what was changed by hand.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.written.clear();
    }

    pub(crate) fn is_known(&self, stream: &StreamId) -> bool {
        self.known.contains_key(stream)
    }

    pub(crate) fn version(&self, stream: &StreamId) -> Option<Version> {
        self.known.get(stream).copied().flatten()
    }

    /// Remembers what was looked up in the open transaction before it has written.
    pub(crate) fn found(&mut self, stream: StreamId, version: Option<Version>) {
        self.known.insert(stream, version);
    }

    pub(crate) fn wrote(&mut self, plan: &Plan) {
        self.written.extend_from_slice(&plan.streams);
        self.end = plan.head.cursor;
    }

    pub(crate) fn committed(&mut self) {
        self.as_of = self.end;
        for StreamHead { stream, version, .. } in self.written.drain(..) {
            self.known.insert(stream, Some(version));
        }
    }
}
