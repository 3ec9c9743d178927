#![doc = include_str!("../README.md")]

mod backoff;
pub mod budget;
pub mod bus;
pub mod commit;
pub mod cursor;
pub mod decider;
pub mod error;
pub mod event;
mod expected;
pub mod filter;
pub mod hub;
pub mod id;
pub mod limits;
pub mod live;
pub mod memory;
pub mod projection;
pub mod store;
mod supervise;
pub mod testing;
mod timestamp;
pub mod transport;

pub use bus::Bus;
pub use cursor::Cursor;
pub use decider::{Decider, Executor, Schema};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use event::{Event, NewEvent};
pub use filter::{Filter, FilterItem};
pub use hub::{After, Hub, Item, Subscribe, Subscription};
pub use id::{EventId, EventType, Position, StreamId, Tag, Version};
pub use memory::{LocalBus, MemoryStore};
pub use projection::{Projection, ProjectionHandle};
pub use store::{Append, Check, EventStore, EventStoreExt, Expected, Read};
pub use transport::Transport;
