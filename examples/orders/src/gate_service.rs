use std::io;
use std::net::SocketAddr;

use downlink::{BoxError, Hub, LocalBus, Result};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::Access;
use downlink_transports::serve::{Server, Signals};
use downlink_transports::wire::{Code, Problem};
use tokio::net::TcpListener;

use crate::app::App;
use crate::options::Options;
use crate::{api, assets};

/// The program: a log, its read models, and the server of the page.
#[derive(Debug)]
pub struct GateService {
    listener: TcpListener,
    store: RusqliteStore,
    hub: Hub,
    app: App,
    signals: Signals,
}

impl GateService {
    /// Opens the log and builds the read models. Requests are served once
    /// [`run`](Self::run) is called.
    ///
    /// # Errors
    ///
    /// If the address is in use, and those of the store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may exist.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self, BoxError> {
        let listener = TcpListener::bind(options.listen).await?;
        let store = downlink_rusqlite::open(&options.db).await?;
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
        let app = App::start(&hub).await?;
        Ok(Self { listener, store, hub, app, signals })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the first signal, drains the connections, and closes the log.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`], which refuses an address that other machines can reach.
    pub async fn run(self) -> Result<()> {
        let Signals { drain, force } = self.signals;
        let router = assets::router().nest("/api", api::router(self.app)).fallback(not_found);
        let server = Server::new(router).with_access(Access::LocalOnly).with_force(force);
        let outcome = server.serve(self.listener, drain).await;
        self.hub.shutdown().await;
        self.store.close().await;
        outcome
    }
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "not found: the page is at / and the feed at /api/feed")
}
