//! Group commit: the engine that every store shares.
//!
//! A backend implements [`Driver`], the steps of one transaction, and gives it to
//! a [`Writer`]. The writer owns the queue (bounded, admission first), groups what
//! waits, lets the planner decide, spares the innocent when a group fails, finds
//! out what a commit with an unknown outcome has stored, runs jobs in between,
//! and tells the hubs of its process what it has committed ([`Commits`]).
//!
//! The planner is the part without I/O: a [`Group`] of appends says what it
//! [`needs`](Group::needs) to know, the driver fetches these [`Facts`] inside its
//! transaction, and the group [`decide`](Group::decide)s. The [`Plan`] says what
//! to insert and what to answer.
//!
//! Each append of a group wins or loses alone: one that lost leaves no trace,
//! and one that won counts as stored for those behind it.
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
mod clock;
mod commits;
mod decide;
mod driver;
mod engine;
mod facts;
mod group;
mod job;
mod jobs;
mod nested;
mod options;
mod plan;
mod queue;
mod room;
mod scan;
mod transaction;
mod unseen;
mod watch;
mod work;
mod writer;

pub use commits::{Commit, CommitFeed, CommitNotice, Commits};
pub use driver::{CommitOutcome, Driver, Linger, Upkeep};
pub use facts::{Boundary, BoundaryFact, Facts, LogHead, Needs};
pub use group::Group;
pub use job::Ending;
pub use options::WriterOptions;
pub use plan::{Plan, StreamHead};
pub use transaction::{Transacted, Transaction};
pub use writer::Writer;

// What the memory store has in common with the engine.
pub(crate) use nested::{inside, refuse_nested};
pub(crate) use work::Work;

#[cfg(test)]
mod tests;
