//! A feed behind a proxy: its host, its trusted proxy, and a limit per client.
//!
//! ```console
//! $ cargo run -p downlink-transports --example behind_proxy
//! ```
//!
//! The proxy listens on port 8080 of the same machine; its configuration is in
//! the book, in the chapter "Running behind a proxy".

use axum::Router;
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, TrustedProxies, shutdown_signal};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> downlink::Result<()> {
    let hub = downlink::memory::hub().await?;
    // ANCHOR: serve
    // An application with users calls `with_authorizer` instead.
    let feed = Feed::new(&hub).with_public_access().with_hosts(["flights.example"]);
    let access = feed.access();
    let app = Router::new().nest("/api", feed.router());

    let listener = TcpListener::bind("127.0.0.1:3000").await.expect("the port is free");
    Server::new(app)
        .with_access(access)
        .with_trusted_proxies(TrustedProxies::by_x_forwarded_for(["127.0.0.1"]))
        .with_max_per_client(100)
        .serve(listener, shutdown_signal()?)
        .await
    // ANCHOR_END: serve
}
