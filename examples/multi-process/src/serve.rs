use std::net::SocketAddr;
use std::time::Duration;

use axum::{Router, response::Html, routing::get};
use downlink::{Hub, Result};
use downlink_rusqlite::RusqliteBus;
use downlink_transports::{feed, serve};
use terminal::outln;

use crate::args::Serve;

/// Serves the page and the feed until Ctrl-C.
pub(crate) async fn run(options: &Serve) -> Result<()> {
    // ANCHOR: open
    let store = downlink_rusqlite::open(&options.db).await?;
    // Wakes the hub after another process has appended.
    let bus = RusqliteBus::open(&options.db).await?;
    let poll_interval = Duration::from_secs(options.poll_interval);
    let hub =
        Hub::builder(store.clone(), bus.clone()).with_poll_interval(poll_interval).start().await?;
    // ANCHOR_END: open

    let page = get(Html(include_str!("page.html")));
    let app = Router::new().nest("/api", feed::router(&hub)).route("/", page);
    let (listener, address) = serve::bind(&options.listen).await?;
    print_usage(address, options);
    let outcome = serve::serve(listener, app, serve::shutdown_signal()?).await;
    hub.shutdown().await;
    bus.close().await;
    store.close().await;
    outcome
}

fn print_usage(address: SocketAddr, options: &Serve) {
    let text = format!(
        "page    http://{address}/\n\
         append  multi-process append --db {} --every 20\n        press Ctrl-C to stop",
        options.db.display()
    );
    outln!("{text}");
}
