use std::net::SocketAddr;

use axum::Router;
use downlink::{Error, ErrorKind, Hub, LocalBus, Result};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::assets;
use downlink_transports::serve::{self, Server, Signals};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api;
use crate::assets::FILES;
use crate::attendance::Attendance;
use crate::options::Options;
use crate::rooms::Rooms;

/// The program: a log, the people who are present, and the server of the page.
#[derive(Debug)]
pub struct Chat {
    listener: TcpListener,
    address: SocketAddr,
    store: RusqliteStore,
    hub: Hub,
    rooms: Rooms,
    attendance: Attendance,
    watching: JoinHandle<()>,
    signals: Signals,
}

impl Chat {
    /// Opens the log. Requests are served once [`run`](Self::run) is called.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if other machines can reach the address,
    /// [`Unavailable`](ErrorKind::Unavailable) if it is in use; those of the store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may exist.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self> {
        let (listener, address) = listen(options.listen).await?;
        let store = downlink_rusqlite::open(&options.db).await?;
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
        let rooms = Rooms::start(&hub).await?;
        let attendance = Attendance::start(&hub).await?;
        let watching = tokio::spawn(attendance.clone().watch(signals.drain.clone()));
        Ok(Self { listener, address, store, hub, rooms, attendance, watching, signals })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the first signal, drains the connections, and closes the log.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`].
    pub async fn run(self) -> Result<()> {
        let Signals { drain, force } = self.signals;
        let router = router(&self.hub, self.rooms, self.attendance);
        let server = Server::new(router).with_force(force);
        let outcome = server.serve(self.listener, drain.clone()).await;
        drain.cancel();
        // It ends with the drain; a panic in it was already reported.
        let _ = self.watching.await;
        self.hub.shutdown().await;
        self.store.close().await;
        outcome
    }
}

fn router(hub: &Hub, rooms: Rooms, attendance: Attendance) -> Router {
    assets::router(&FILES).nest("/api", api::router(hub, rooms, attendance))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    if !address.ip().is_loopback() {
        let message = format!(
            "{address} can be reached from other machines, and this server has no authentication: \
             listen on 127.0.0.1"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    serve::bind(address).await
}
