use std::time::Duration;

use axum::{Router, response::Html, routing::get};
use downlink::{Error, ErrorKind, Hub, Result};
use downlink_rusqlite::RusqliteBus;
use downlink_transports::{feed, serve};
use terminal::outln;
use tokio::net::TcpListener;

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
    let listener = bind(&options.listen).await?;
    print_usage(&listener, options);
    let outcome = serve::serve(listener, app, serve::shutdown_signal()?).await;
    hub.shutdown().await;
    bus.close().await;
    store.close().await;
    outcome
}

async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen on {address}: choose another address with --listen");
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}

fn print_usage(listener: &TcpListener, options: &Serve) {
    let Ok(address) = listener.local_addr() else { return };
    let text = format!(
        "page    http://{address}/\n\
         append  multi-process append --db {} --every 20\n        press Ctrl-C to stop",
        options.db.display()
    );
    outln!("{text}");
}
