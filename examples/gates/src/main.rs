//! Serves the gates and the feed on port 3000.

use std::process::ExitCode;

use downlink::{BoxError, Hub, LocalBus};
use downlink_transports::{feed, health, serve};
use terminal::outln;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::exit_code("gates", run().await)
}

async fn run() -> Result<(), BoxError> {
    let store = gates::open("gates.db").await?;
    gates::prepare(&store).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    let app = gates::router(&store).nest("/api", feed::router(&hub)).merge(health::router(&hub));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    outln!(
        "try     curl -X PUT http://127.0.0.1:3000/gates/C71/UA1545/{}",
        downlink::EventId::now()
    );
    outln!("        curl -N -H 'Accept: text/event-stream' http://127.0.0.1:3000/api/feed");
    outln!("        press Ctrl-C to stop");
    serve::serve(listener, app, serve::shutdown_signal()?).await?;
    hub.shutdown().await;
    // Otherwise a part of the log stays in `gates.db-wal`.
    store.close().await;
    Ok(())
}
