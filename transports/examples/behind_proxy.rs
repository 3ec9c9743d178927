//! A feed behind a proxy: its host name, its trusted proxy, and the limit of
//! connections per client.
//!
//! ```console
//! $ cargo run -p downlink-transports --example behind_proxy
//! ```
//!
//! The proxy listens on port 8080 of the same machine; its configuration is in
//! the book, in the chapter "Behind a proxy".

use axum::Router;
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, TrustedProxies, shutdown_signal};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> downlink::Result<()> {
    let hub = downlink::memory::hub().await?;
    // ANCHOR: serve
    // An application with users calls `authorize` instead.
    let feed = Feed::new(&hub).open_to_everyone().with_hosts(["flights.example"]);
    let exposure = feed.exposure();
    let app = Router::new().nest("/api", feed.router());

    let listener = TcpListener::bind("127.0.0.1:3000").await.expect("the port is free");
    Server::new(app)
        .with_exposure(exposure)
        .with_trusted_proxies(TrustedProxies::by_x_forwarded_for(["127.0.0.1"]))
        .with_max_per_client(100)
        .serve(listener, shutdown_signal()?)
        .await
    // ANCHOR_END: serve
}
