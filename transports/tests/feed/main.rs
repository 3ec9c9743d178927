//! The feed's router over the memory store: every response of the wire contract.

#![expect(clippy::unwrap_used, reason = "panics are failures")]

mod append;
mod commands;
mod guards;
mod live;
mod nesting;
mod origins;
mod pages;
mod paths;
mod peer;
mod socket;
mod sse;
mod streams;
mod support;
mod upgrade;
mod websocket;
mod websocket_ends;
