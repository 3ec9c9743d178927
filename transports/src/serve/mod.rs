//! An HTTP/1.1 server for streams without an end.
//!
//! `axum::serve` keeps a half-sent request open forever, and its graceful
//! shutdown does not finish while an idle stream is open. This server has a timeout
//! for headers, disconnects peers that have stopped reading but none that reads
//! slowly, limits connections, and drains: it makes open streams end with `bye`, and returns.
//!
//! | limit | default |
//! |---|---|
//! | listens on | loopback addresses only; see [`Server::with_access`] |
//! | connections | 10,000; the next 64 are refused with a response, and more are closed |
//! | connections of one client | no limit; see [`Server::with_max_per_client`] |
//! | the head of a request | 10 seconds |
//! | the time between two requests | 75 seconds |
//! | the body of a request | 20 seconds without progress; a minute in total, plus a second for every 16 KiB |
//! | what a peer still sends after its response | 64 MiB are read and discarded, up to 5 seconds without a byte, within 30 seconds |
//! | a peer whose system does not answer | 20 seconds |
//! | a peer that answers, but reads nothing | 5 minutes; half of it while the byte budget is used up |
//! | the bytes that are held for all peers | 128 MiB; see [`Server::with_byte_budget`] |
//! | drain | 5 seconds |
//!
//! # Examples
//!
//! ```no_run
//! # async fn run(router: axum::Router) -> downlink::Result<()> {
//! use downlink_transports::serve;
//!
//! let (listener, _) = serve::bind("127.0.0.1:3000").await?;
//! serve::serve(listener, router, serve::shutdown_signal()?).await
//! # }
//! ```

mod accept;
mod bind;
mod body_progress;
mod client_limiter;
mod connection_permit;
mod connection_service;
mod connections;
mod cors;
mod discard;
mod exchange;
mod handover;
mod limit_reached;
mod limits;
mod lingering_close;
mod liveness;
mod over_budget;
mod parse_error;
mod proxies;
mod request_bodies;
mod response_body;
mod response_head;
mod server;
mod signals;
mod socket;
mod stats;
mod stream_connection;
mod stream_writer;
mod sweeper;
mod tracked_body;
mod watched;

use axum::Router;
use downlink::Result;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use bind::bind;
pub use proxies::TrustedProxies;
pub use server::Server;
pub use signals::{Signals, ignore_sigxfsz, shutdown_signal};
pub use stats::ServerStats;

/// Serves a router on a loopback listener until `shutdown`, and drains; see
/// [`Server`] for the options.
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
