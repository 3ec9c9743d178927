//! An HTTP/1.1 server made for streams without end.
//!
//! `axum::serve` keeps a half-sent request open for ever, and its graceful
//! shutdown never ends while one quiet stream is open. This one has a deadline
//! for headers, cuts peers that have stopped reading, bounds its connections,
//! and drains: it tells every open body to say goodbye, and ends.
//!
//! | | default |
//! |---|---|
//! | listens | on loopback addresses, unless told otherwise by [`Server::with_exposure`] |
//! | connections | 10,000; the next 64 are told to come again, and more are closed |
//! | of one client | no limit: see [`Server::with_max_per_client`] |
//! | the header of a request, and the pause between two requests | 10 seconds |
//! | the body of a request | no halt of 20 seconds; a minute in all, and a second more for every 16 KiB |
//! | what a peer still sends after its answer | 64 MiB are read and discarded, with no silence of 5 seconds and within 30 |
//! | a write without progress | 20 seconds |
//! | drain | 10 seconds |
//!
//! # Examples
//!
//! ```no_run
//! # async fn run(router: axum::Router) -> downlink::Result<()> {
//! use downlink_transports::serve;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
//! serve::serve(listener, router, serve::shutdown_signal()?).await
//! # }
//! ```

mod accept;
mod bodies;
mod clients;
mod connections;
mod discard;
mod fate;
mod limits;
mod linger;
mod proxies;
mod refusal;
mod requests;
mod server;
mod signals;
mod slot;
mod socket;
mod stats;
mod unreadable;
mod watched;

use axum::Router;
use downlink::Result;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use proxies::TrustedProxies;
pub use server::Server;
pub use signals::{Signals, shutdown_signal, survive_file_size_limit};
pub use stats::ServerStats;

/// Serves a router on a loopback listener until `shutdown`, and drains; see
/// [`Server`] for everything that can be set.
///
/// # Errors
///
/// As [`Server::serve`].
///
/// # Cancel safety
///
/// As [`Server::serve`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> Result<()> {
    Server::new(router).serve(listener, shutdown).await
}
