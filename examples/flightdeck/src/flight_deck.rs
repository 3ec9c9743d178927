use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use downlink::{Hub, LocalBus, Result};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::serve::{Server, Signals};
use downlink_transports::wire::{Code, Problem};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::day::Day;
use crate::replay::{Replay, Speed};
use crate::{CannotStart, Options, api, assets, fresh};

/// The whole example: a log, the replay that writes to it, and the server that
/// shows it.
#[derive(Debug)]
pub struct FlightDeck {
    listener: TcpListener,
    address: SocketAddr,
    store: RusqliteStore,
    hub: Hub,
    replay: Replay,
    replaying: JoinHandle<()>,
    signals: Signals,
}

impl FlightDeck {
    /// Opens the log and lets the day begin, or go on. Nobody is served before
    /// [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`CannotStart`], which says what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it may have deleted or made the file of the log.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self, CannotStart> {
        // First the address: whoever has it may be using the log, too.
        let (listener, address) = listen(options.listen).await?;
        if options.fresh {
            fresh::delete(&options.db).await?;
        }
        let opened = open(&options.db, options.speed, &signals).await;
        let (store, hub, replay, replaying) =
            opened.map_err(|error| CannotStart::Log(options.db.clone(), error))?;
        Ok(Self { listener, address, store, hub, replay, replaying, signals })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The replay.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Serves until the first signal, says goodbye to every page, and closes
    /// the log.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`].
    pub async fn run(self) -> Result<()> {
        let Signals { drain, force } = self.signals;
        let router = router(&self.hub, self.replay);
        let outcome =
            Server::new(router).with_force(force).serve(self.listener, drain.clone()).await;
        drain.cancel();
        // A replay that panicked has said so; what counts now is to close the log.
        let _ = self.replaying.await;
        self.hub.shutdown().await;
        self.store.close().await;
        outcome
    }
}

// ANCHOR: open
async fn open(
    path: &Path,
    speed: Option<Speed>,
    signals: &Signals,
) -> Result<(RusqliteStore, Hub, Replay, JoinHandle<()>)> {
    let store = downlink_rusqlite::open(path).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    let stop = signals.drain.clone();
    let (replay, replaying) = Replay::start(&hub, &Day::recorded(), speed, stop).await?;
    Ok((store, hub, replay, replaying))
}

fn router(hub: &Hub, replay: Replay) -> Router {
    assets::router().nest("/api", api::router(hub, replay)).fallback(nothing)
}
// ANCHOR_END: open

async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "nothing is here: the board is at / and the feed at /api/feed")
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CannotStart> {
    if !address.ip().is_loopback() {
        return Err(CannotStart::Exposed(address));
    }
    let failed = |error| CannotStart::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
