//! Tests of deciders and projections that need no log: given, when, then.
//!
//! Nothing here is asynchronous, and a failure prints what was expected beside
//! what happened.

mod decider;
mod projection;
mod text;

pub use decider::{Case, Decided, Then, decider};
pub use projection::{Projected, projection};
