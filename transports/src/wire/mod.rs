//! The wire contract, feed v1: functions that render and parse requests and
//! answers.
//!
//! All transports share one cursor, one filter, one envelope and one shape of
//! errors. This module does no I/O.

mod after;
mod append;
mod code;
mod envelope;
mod filter;
mod frame;
mod live;
pub(crate) mod object;
mod page;
mod problem;
mod query;
pub(crate) mod utf8;
#[cfg(feature = "websocket")]
mod websocket;

pub(crate) use after::resume_live;
pub use after::{after_text, parse_after, resume};
#[cfg(feature = "websocket")]
pub(crate) use append::events_size;
pub use append::{AppendBody, appended_json, parse_events, parse_expected};
pub use code::Code;
pub(crate) use envelope::Renderer;
#[cfg(feature = "client")]
pub use envelope::parse_envelope;
pub use envelope::{envelope, sse_block};
pub use filter::{filter_of_json, filter_of_query, filter_to_json, filter_to_query};
#[cfg(feature = "client")]
pub use frame::parse_frame;
pub use frame::{frame_block, frame_json};
pub use live::{LiveFrame, live_ready_block, live_ready_json};
#[cfg(feature = "client")]
pub use live::{LiveMessage, parse_live};
pub use object::Object;
pub(crate) use page::Envelopes;
pub use problem::Problem;
#[cfg(feature = "client")]
pub use problem::{parse_problem_code, parse_refusal, problem_error};
pub use query::Query;
#[cfg(feature = "websocket")]
pub use websocket::{Addressee, Command, Label, Refused, Reply};
#[cfg(all(feature = "client", feature = "websocket"))]
pub use websocket::{Message, Receipt};
#[cfg(feature = "websocket")]
pub(crate) use websocket::{events_len, events_parts};
