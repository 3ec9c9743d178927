//! The contract of a log, and what is said to one.

mod append;
mod appended;
mod contract;
mod expected;
mod ext;
mod page;
mod read;

pub use append::{Append, Check, Write};
pub use appended::{Appended, Written};
pub use contract::EventStore;
pub use expected::Expected;
pub use ext::EventStoreExt;
pub(crate) use ext::to_append;
pub use page::{Page, StreamSpan};
pub use read::{Direction, Mark, Read, Scope};
