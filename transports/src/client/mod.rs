//! A client for feeds.
//!
//! Most programs use [`Client::follow`]: it reconnects by itself, resumes after
//! the last frame that it has handed out, and ends only when retrying cannot
//! help. [`Client::connect`] opens a single connection, for tests and for programs
//! with their own way to reconnect.
//!
//! [`Client::with_transport`] sets the transport, or with [`Fallback::all`] lets the
//! client find one that works.
//!
//! The client speaks HTTP/1.1 over TCP, without TLS. Use it within a network,
//! behind a local proxy that adds TLS, or with your own [`Connector`].
//!
//! # Examples
//!
//! ```no_run
//! # async fn run() -> downlink::Result<()> {
//! use downlink::{Filter, Subscribe};
//! use downlink::transport::{Endpoint, Frame};
//! use downlink_transports::client::Client;
//! use futures::TryStreamExt;
//!
//! let departures = Filter::types(["FlightDeparted"]);
//! let client = Client::new(Endpoint::new("http://127.0.0.1:3000"));
//! let mut follow = client.follow(Subscribe::new().with_filter(departures))?;
//! while let Some(frame) = follow.try_next().await? {
//!     if let Frame::Event { event, .. } = frame {
//!         println!("{} {}", event.stream(), event.version());
//!     }
//! }
//! # Ok(()) }
//! ```

mod active_connection;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod client;
mod connect_options;
mod connector;
mod event_stream;
mod failure;
mod fallback;
mod follow;
mod frames;
mod http_connection;
mod live;
#[cfg(feature = "long-poll")]
mod long_poll;
mod reconnect_delay;
mod reconnector;
mod request;
mod silence_limit;
mod sse;
mod tcp;
mod token;
mod transport_kind;
mod upgrade;
#[cfg(feature = "websocket")]
mod websocket;

pub use client::Client;
pub use connector::{Connector, IoStream};
pub use event_stream::{EventStream, StreamEvent};
pub use fallback::Fallback;
pub use follow::Follow;
pub use live::{FollowLive, LiveRows};
pub use token::TokenReason;
pub use transport_kind::TransportKind;
#[cfg(feature = "websocket")]
pub use websocket::{Socket, SocketSubscription};
