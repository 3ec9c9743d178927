//! Which appends of a group win: the planner that every store shares.
//!
//! A store's writer takes whatever appends wait as one [`Group`], asks what it
//! [`needs`](Group::needs) to know, fetches these [`Facts`] inside its
//! transaction, and lets the group [`decide`](Group::decide). The [`Plan`] says
//! what to insert and what to answer. There is no I/O here, so blocking and
//! async drivers share it, and it is tested as the pure function that it is.
//!
//! Each append of a group wins or loses alone: one that lost leaves no trace,
//! and one that won counts as stored for those behind it.
//!
//! ```
//! use downlink::commit::{Facts, Group, LogHead};
//! use downlink::{Append, Expected, NewEvent, Timestamp};
//!
//! let departed = || NewEvent::with_json("FlightDeparted", "{}");
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

mod decide;
mod facts;
mod group;
mod plan;

pub use facts::{Boundary, BoundaryFact, Facts, LogHead, Needs};
pub use group::Group;
pub use plan::{Plan, StreamHead};

#[cfg(test)]
mod tests;
