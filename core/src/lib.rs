#![doc = include_str!("../README.md")]

mod bus;
pub mod commit;
mod cursor;
mod decider;
mod error;
mod event;
mod filter;
mod hub;
mod id;
pub mod limits;
pub mod memory;
mod projection;
mod store;
mod supervise;
pub mod testing;
mod transport;

pub use bus::{Bus, Hint, Listener};
pub use cursor::Cursor;
pub use decider::{
    CommandId, Context, Decider, ExecuteError, Executed, Executor, MemorySnapshots, Schema,
    Snapshot, SnapshotKey, SnapshotStore, Snapshots,
};
pub use error::{BoxError, Error, ErrorKind, FailedCheck, Result};
pub use event::{ContentType, Event, IntoNewEvent, NewEvent, StoredParts, Timestamp};
pub use filter::{Filter, FilterItem, FilterItemParts, Pattern};
pub use hub::{After, Hub, HubBuilder, HubStats, Item, Subscribe, Subscription};
pub use id::{EventId, EventType, Position, ProjectionId, StreamId, Tag, Version};
pub use memory::{LocalBus, MemoryStore};
pub use projection::{
    DeadLetter, FailurePolicy, Progress, Projection, ProjectionBuilder, ProjectionHandle,
    ProjectionStore, Status, Step, Stepped,
};
pub use store::{
    Append, Appended, Check, Direction, EventStore, EventStoreExt, Expected, Mark, Page, Read,
    Scope, StreamSpan, Write, Written,
};
pub use transport::{Endpoint, Frame, Transport};
