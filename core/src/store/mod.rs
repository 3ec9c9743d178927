//! The event store: its contract, appends and reads.

mod append;
mod appended;
mod clock_monitor;
pub(crate) mod commits;
mod deadline_watch;
mod event_store;
mod event_store_ext;
mod import;
mod moved;
mod page;
mod read;

pub use crate::expected::Expected;
pub use append::{Append, Check, Write};
pub use appended::{Appended, Written};
pub use event_store::EventStore;
pub use event_store_ext::EventStoreExt;
pub(crate) use event_store_ext::to_append;
pub use import::{Import, ImportStore};
pub use moved::Moved;
pub use page::{Page, StreamSpan};
pub use read::{
    DEFAULT_LIMIT, DEFAULT_MAX_BYTES, Direction, LogScope, Mark, Read, ReadLog, ReadStream,
    StreamScope,
};
