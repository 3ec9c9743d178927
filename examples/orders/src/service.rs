use std::path::Path;

use downlink::{Hub, LocalBus, Result};
use downlink_transports::serve::{Server, Signals};
use downlink_transports::{Access, assets};
use tokio::net::TcpListener;

use crate::api;
use crate::app::App;
use crate::assets::FILES;

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
    let router = assets::router(&FILES).nest("/api", api::router(app));
    let server = Server::new(router).with_access(Access::LocalOnly).with_force(signals.force);
    let outcome = server.serve(listener, signals.drain).await;
    hub.shutdown().await;
    store.close().await;
    outcome
}
