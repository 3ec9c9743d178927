//! A feed under axum's own server, with a graceful shutdown.
//!
//! ```console
//! $ cargo run -p downlink-transports --example under_axum
//! ```

use axum::Router;
use downlink_transports::feed::Feed;
use downlink_transports::serve::shutdown_signal;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = downlink::memory::hub().await?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    // ANCHOR: serve
    // Cancelled by Ctrl-C: the streams send `bye` and end, so that the server can end.
    let shutdown = shutdown_signal()?;
    let feed = Feed::new(&hub).with_shutdown(shutdown.clone());
    let app = Router::new().nest("/api", feed.router());
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    // ANCHOR_END: serve
    Ok(())
}
