//! Given-when-then tests of deciders and projections, without a log.
//!
//! Nothing here is asynchronous. A failure prints both what was expected and
//! what happened.

mod decider;
mod projection;
mod text;

pub use decider::{Decided, DeciderTest, Then, decider};
pub use projection::{ProjectionTest, projection};
