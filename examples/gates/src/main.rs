//! Serves gates on port 3000, and the feed that tells who takes them.

use downlink::{BoxError, Hub, LocalBus};
use downlink_transports::{feed, health, serve};
use terminal::say;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let store = gates::open("gates.db").await?;
    gates::prepare(&store).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    let app = gates::router(&store).nest("/api", feed::router(&hub)).merge(health::router(&hub));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    say!("put http://127.0.0.1:3000/gates/C71/UA1545/{}", downlink::EventId::now());
    say!("and follow http://127.0.0.1:3000/api/feed; Ctrl-C ends it");
    serve::serve(listener, app, serve::shutdown_signal()?).await?;
    hub.shutdown().await;
    // Without it, a part of the log stays in `gates.db-wal`.
    store.close().await;
    Ok(())
}
