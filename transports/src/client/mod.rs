//! A client for feeds: one connection at a time, or one that never ends.
//!
//! [`Client::follow`] is what a program wants: it reconnects by itself, resumes
//! after the last frame that it has handed out, and ends only when repeating
//! cannot help. [`Client::connect`] is one connection, for tests and for those
//! who reconnect in their own way.
//!
//! [`Client::with_transport`] chooses what carries the frames, or lets the client
//! find out what comes through, with [`Ladder::best`].
//!
//! HTTP/1.1 over TCP, without TLS: for services on one network, or behind a
//! local proxy that adds it, or with a [`Connector`] of your own.
//!
//! # Examples
//!
//! ```no_run
//! # async fn run() -> downlink::Result<()> {
//! use downlink::{Endpoint, FilterItem, Frame, Subscribe};
//! use downlink_transports::client::Client;
//! use futures::TryStreamExt;
//!
//! let departures = FilterItem::new().with_type("FlightDeparted")?;
//! let client = Client::new(Endpoint::new("http://127.0.0.1:3000"));
//! let mut follow = client.follow(Subscribe::new().filter(departures.into()))?;
//! while let Some(frame) = follow.try_next().await? {
//!     if let Frame::Event { event, .. } = frame {
//!         println!("{} {}", event.stream(), event.version());
//!     }
//! }
//! # Ok(()) }
//! ```

#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod client;
mod connector;
mod event_stream;
mod exchange;
mod failure;
mod follow;
mod following;
mod frames;
mod ladder;
#[cfg(feature = "long-poll")]
mod long_poll;
mod pauses;
mod request;
mod sse;
mod transport_kind;
#[cfg(feature = "websocket")]
mod websocket;

pub use client::Client;
pub use connector::{Connector, Wire};
pub use event_stream::{EventStream, StreamEvent};
pub use follow::Follow;
pub use ladder::Ladder;
pub use transport_kind::TransportKind;
#[cfg(feature = "websocket")]
pub use websocket::{Channel, Socket};
