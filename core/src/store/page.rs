use crate::cursor::Cursor;
use crate::event::Event;
use crate::id::Version;

/// Some events of a log, all from one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The events that match, in the direction of the read.
    pub events: Vec<Event>,
    /// How far was looked. Forward: every matching event at or below it is in
    /// this page or an earlier one, so reading goes on from here, also when no
    /// event matched. Backward: the same for every one at or above it.
    ///
    /// It names the last event looked at. If none was, it is the newest event
    /// at or below the mark of a forward read (the oldest at or above that of a
    /// backward one), and [`Cursor::START`] if there is no such event. When
    /// nothing is left of a forward read, it equals [`head`](Self::head).
    pub scanned: Cursor,
    /// The end of the log in this snapshot.
    pub head: Cursor,
    /// Whether there may be more to look at. `false` is certain: nothing is
    /// left in this snapshot.
    pub more: bool,
    /// What a read of one stream found of it; `None` for a read of the log, and
    /// for a stream without events.
    pub stream: Option<StreamSpan>,
}

/// How far a read of one stream got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpan {
    /// The version of the stream's last event in this snapshot.
    pub version: Version,
    /// The version up to which the page looked: where a read goes on. The
    /// mark of the read if nothing was looked at, `None` if that had none.
    pub scanned: Option<Version>,
}
