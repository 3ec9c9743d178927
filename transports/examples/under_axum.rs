//! A feed under `axum::serve`, with a graceful shutdown.
//!
//! ```console
//! $ cargo run -p downlink-transports --example under_axum
//! ```

use std::net::SocketAddr;

use axum::Router;
use downlink_transports::feed::Feed;
use downlink_transports::serve::shutdown_signal;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = downlink::memory::hub().await?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    // ANCHOR: serve
    // Cancelled by Ctrl-C: the streams end with `bye`, and then the server ends.
    let shutdown = shutdown_signal()?;
    let feed = Feed::new(&hub).with_shutdown(shutdown.clone());
    let app = Router::new().nest("/api", feed.router());
    // Tells the feed where requests come from; without it, only a feed that is open to
    // other machines answers.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    // ANCHOR_END: serve
    Ok(())
}
