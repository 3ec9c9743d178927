//! The feed's router from outside, over the memory store: every answer of the
//! wire contract that it can give.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod append;
mod guards;
mod pages;
mod peer;
mod socket;
mod sse;
mod streams;
mod support;
mod upgrade;
mod websocket;
mod websocket_ends;
