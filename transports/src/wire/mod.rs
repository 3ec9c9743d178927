//! The wire contract, feed v1, as pure functions: what stands in a request,
//! and what stands in an answer.
//!
//! One cursor, one filter, one envelope and one shape of errors for all
//! transports. Nothing here waits, reads or knows a connection.

mod after;
mod append;
mod code;
mod control;
mod envelope;
mod filter;
pub(crate) mod object;
mod page;
#[cfg(feature = "client")]
pub mod parse;
mod problem;
mod query;
#[cfg(feature = "websocket")]
mod websocket;

pub use after::{after_text, parse_after, resume};
pub use append::{appended_json, parse_events, parse_expected};
pub use code::Code;
pub use control::Control;
pub use envelope::{envelope, sse_block};
pub use filter::{filter_of_json, filter_of_query, filter_to_json, filter_to_query};
pub use object::Object;
pub(crate) use page::Envelopes;
pub use problem::Problem;
pub use query::Query;
#[cfg(feature = "websocket")]
pub use websocket::{Addressee, Command, Label, Refused, Reply};
#[cfg(all(feature = "client", feature = "websocket"))]
pub use websocket::{Message, Receipt};
#[cfg(feature = "websocket")]
pub(crate) use websocket::{events_len, events_parts};
