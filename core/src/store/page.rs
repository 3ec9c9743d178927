use crate::cursor::Cursor;
use crate::event::Event;
use crate::id::Version;

/// A page of events, all from one snapshot of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The matching events, in the direction of the read.
    pub events: Vec<Event>,
    /// How far the read has scanned. Forward: every matching event at or below
    /// it is in this page or an earlier one, so the next read continues after
    /// it, even if no event matched. Backward: the same for every event at or
    /// above it.
    ///
    /// It is the cursor of:
    ///
    /// - the last event scanned, if any was;
    /// - otherwise, for a forward read, the newest event at or below its mark;
    /// - otherwise, for a backward read, the oldest event at or above its mark.
    ///
    /// If there is no such event, it is [`Cursor::START`]. When a forward read
    /// has nothing left to scan, it equals [`head`](Self::head).
    pub scanned: Cursor,
    /// The end of the log in this snapshot.
    pub head: Cursor,
    /// Whether there may be more to scan. `false` is certain: nothing is left
    /// in this snapshot.
    pub more: bool,
    /// How far a read of one stream got; `None` for a read of the log, and for
    /// a stream without events.
    pub stream: Option<StreamSpan>,
}

/// How far a read of one stream got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpan {
    /// The version of the stream's last event in this snapshot.
    pub version: Version,
    /// The version up to which the read has scanned; the next read continues
    /// after it. If nothing was scanned, it is the version that was given to
    /// [`with_after`](crate::store::Read::with_after), or `None`.
    pub scanned: Option<Version>,
}
