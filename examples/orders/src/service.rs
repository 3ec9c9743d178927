use std::path::Path;

use downlink::{Hub, LocalBus, Result};
use downlink_transports::Access;
use downlink_transports::serve::{Server, Signals};
use downlink_transports::wire::{Code, Problem};
use tokio::net::TcpListener;

use crate::app::App;
use crate::{api, assets};

/// Serves the log in this file until the first signal, drains the connections, and closes
/// it.
///
/// # Errors
///
/// Those of the store, and of [`Server::serve`], which refuses an address that other
/// machines can reach.
///
/// # Cancel safety
///
/// If the future is dropped, the connections are cut.
pub async fn serve(listener: TcpListener, db: &Path, signals: Signals) -> Result<()> {
    let store = downlink_rusqlite::open(db).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    let app = App::start(&hub).await?;
    let router = assets::router().nest("/api", api::router(app)).fallback(not_found);
    let server = Server::new(router).with_access(Access::LocalOnly).with_force(signals.force);
    let outcome = server.serve(listener, signals.drain).await;
    hub.shutdown().await;
    store.close().await;
    outcome
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "not found: the page is at / and the feed at /api/feed")
}
