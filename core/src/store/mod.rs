//! The event store: its contract, appends and reads.

mod append;
mod appended;
mod event_store;
mod event_store_ext;
mod expected;
mod page;
mod read;

pub use append::{Append, Check, Write};
pub use appended::{Appended, Written};
pub use event_store::EventStore;
pub use event_store_ext::EventStoreExt;
pub(crate) use event_store_ext::to_append;
pub use expected::Expected;
pub use page::{Page, StreamSpan};
pub use read::{
    DEFAULT_LIMIT, DEFAULT_MAX_BYTES, Direction, LogScope, Mark, Read, ReadLog, ReadStream,
    StreamScope,
};
