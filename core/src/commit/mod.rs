//! Group commit: the engine that stores share.
//!
//! A backend implements [`Driver`], the steps of one transaction, and passes it
//! to a [`Writer`]. The writer owns a bounded queue, groups waiting appends,
//! has the planner decide them, isolates the append that makes a group fail,
//! finds out what a commit with an unknown outcome has stored, runs jobs in
//! between, and reports its commits to the hubs of its process ([`Commits`]).
//!
//! The planner is the part without I/O: a [`Group`] of appends lists what it
//! [`needs`](Group::needs) to know, the driver fetches these [`Facts`] inside
//! its transaction, and [`Group::decide`] makes a [`Plan`] of the rows to
//! insert and the outcomes to return.
//!
//! Each append of a group succeeds or fails on its own: one that fails leaves
//! no trace, and one that succeeds counts as stored for those after it.
//!
//! ```
//! use downlink::commit::{Facts, Group, LogHead};
//! use downlink::{Append, Expected, NewEvent};
//! use downlink::event::Timestamp;
//!
//! let departed = || NewEvent::json("FlightDeparted", "{}");
//! let group = Group::new(vec![
//!     Append::to("flight-UA1545", Expected::NoStream, [departed()?])?,
//!     Append::to("flight-UA1545", Expected::NoStream, [departed()?])?,
//! ]);
//! assert_eq!(group.needs().streams.len(), 1);
//! let plan = group.decide(&Facts::default(), LogHead::EMPTY, Timestamp::now());
//! assert!(plan.outcomes[0].is_ok());
//! assert!(plan.outcomes[1].is_err());
//! assert_eq!(plan.rows.len(), 1);
//! # Ok::<(), downlink::Error>(())
//! ```
#![doc = include_str!("own_store.md")]

mod batch;
mod decision;
mod driver;
mod engine;
mod expectation;
mod facts;
mod group;
mod hidden_rows;
mod import;
mod job;
mod jobs;
mod nested;
mod open_transaction;
mod plan;
mod prepared_append;
mod queue;
mod queue_limit;
mod scan;
mod transaction;
mod transaction_state;
mod writer;
mod writer_options;

pub use crate::store::commits::{Commit, CommitFeed, CommitNotice, Commits};
pub use driver::{CommitOutcome, Driver, ImportDriver, Linger, Upkeep};
pub use facts::{Boundary, BoundaryFact, Facts, LogHead, Needs};
pub use group::Group;
pub use job::Ending;
pub use open_transaction::OpenTransaction;
pub use plan::{Plan, StreamHead};
pub use prepared_append::PreparedAppend;
pub use transaction::{Transacted, Transaction};
pub use writer::Writer;
pub use writer_options::WriterOptions;

// Shared with the memory store.
pub(crate) use nested::{inside_writer, refuse_nested};
pub(crate) use transaction_state::TransactionState;

#[cfg(test)]
mod tests;
