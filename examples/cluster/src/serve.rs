use axum::response::Html;
use axum::routing::get;
use downlink_any::StoreUrl;
use downlink_transports::feed::Feed;
use downlink_transports::health;
use downlink_transports::serve::{self, Server, Signals};

use crate::Result;
use crate::args::Serve;

/// Serves the log, as one of several processes behind the proxy.
pub(crate) async fn run(role: &Serve) -> Result<()> {
    let signals = Signals::listen()?;
    let (listener, _) = serve::bind(&role.listen).await?;
    // ANCHOR: serve
    let log = downlink_any::Options::new(StoreUrl::parse(&role.store)?);
    let log = log.with_bus(role.bus.parse()?).open().await?;
    let hub = log.hub().await?;
    // Requests come from the proxy, which is on this machine, as are its clients.
    let feed = Feed::new(&hub).with_append().with_public_access();
    let feed = feed.with_hosts(["127.0.0.1", "localhost"]);
    // ANCHOR_END: serve
    let access = feed.access();
    let page = get(Html(include_str!("page.html")));
    let app = feed.router().merge(health::router(&hub)).route("/", page);
    let server = Server::new(app).with_access(access).with_force(signals.force);
    let outcome = server.serve(listener, signals.drain).await;
    hub.shutdown().await;
    log.close().await;
    Ok(outcome?)
}
