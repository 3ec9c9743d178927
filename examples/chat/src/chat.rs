use std::io;
use std::net::SocketAddr;

use axum::Router;
use downlink::{Error, ErrorKind, Hub, LocalBus, Result};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::serve::{Server, Signals};
use downlink_transports::wire::{Code, Problem};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Attendance, Options, Rooms, api, assets};

/// The whole example: a log, who is there, and the server of the page.
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
    /// Opens the log. Nobody is served before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if other machines could reach the
    /// address, [`Unavailable`](ErrorKind::Unavailable) if it is taken; those of
    /// the store.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it may have made the file of the log.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self> {
        let (listener, address) = listen(options.listen).await?;
        let store = downlink_rusqlite::open(&options.db).await?;
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
        let rooms = Rooms::start(&hub).await?;
        let attendance = Attendance::start(&hub).await?;
        let watching = tokio::spawn(attendance.clone().watch(signals.drain.clone()));
        Ok(Self { listener, address, store, hub, rooms, attendance, watching, signals })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the first signal, says goodbye to every page, and closes
    /// the log.
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
        // It only waits for the drain; whatever else has happened was said.
        let _ = self.watching.await;
        self.hub.shutdown().await;
        self.store.close().await;
        outcome
    }
}

fn router(hub: &Hub, rooms: Rooms, attendance: Attendance) -> Router {
    assets::router().nest("/api", api::router(hub, rooms, attendance)).fallback(nothing)
}

async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "nothing is here: the page is at / and the feed at /api/feed")
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    if !address.ip().is_loopback() {
        let message = format!(
            "{address} can be reached from other machines, and anybody may write here: listen on \
             127.0.0.1"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let failed = |error: io::Error| {
        let message =
            format!("cannot listen on {address}: name another address, as in --listen 127.0.0.1:0");
        Error::with_source(ErrorKind::Unavailable, message, error)
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
