use std::net::SocketAddr;

use axum::Router;
use downlink::{Hub, Result};
use downlink_transports::assets;
use downlink_transports::serve::{Server, Signals};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::assets::FILES;
use crate::database::Database;
use crate::day::Day;
use crate::options::Options;
use crate::read_models::ReadModels;
use crate::replay::Replay;
use crate::start_error::StartError;
use crate::{api, fresh};

/// The program: a log, the replay that appends to it, the read models, and the server.
#[derive(Debug)]
pub struct FlightDeck {
    listener: TcpListener,
    address: SocketAddr,
    parts: Parts,
    signals: Signals,
}

/// The parts that are open while the program runs.
#[derive(Debug)]
struct Parts {
    database: Database,
    hub: Hub,
    read_models: ReadModels,
    replay: Replay,
    replaying: JoinHandle<()>,
}

impl FlightDeck {
    /// Opens the log and starts or resumes the replay. Requests are served once
    /// [`run`](Self::run) is called.
    ///
    /// # Errors
    ///
    /// [`StartError`], whose message says what to do.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may have been deleted or created.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self, StartError> {
        // The address first: a program that listens on it may also use the log.
        let (listener, address) = listen(options.listen).await?;
        if options.fresh {
            fresh::delete(&options.log).await?;
        }
        let parts = open(options, &signals).await;
        let parts = parts.map_err(|error| StartError::Log(options.log.place(), error))?;
        Ok(Self { listener, address, parts, signals })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The replay.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.parts.replay
    }

    /// Serves until the first signal, drains the connections, and closes the log.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`].
    pub async fn run(self) -> Result<()> {
        let Signals { drain, force } = self.signals;
        let Parts { database, hub, read_models, replay, replaying } = self.parts;
        let router = router(&hub, replay, read_models);
        let outcome =
            Server::new(router).with_force(force).serve(self.listener, drain.clone()).await;
        drain.cancel();
        // A panic in the replay was already reported; close the log in any case.
        let _ = replaying.await;
        hub.shutdown().await;
        database.close().await;
        outcome
    }
}

// ANCHOR: open
async fn open(options: &Options, signals: &Signals) -> Result<Parts> {
    let database = options.log.open().await?;
    let hub = database.hub().await?;
    let read_models = ReadModels::start(&hub, &database)?;
    let stop = signals.drain.clone();
    let (replay, replaying) = if options.no_replay {
        Replay::follow(&hub, stop).await?
    } else {
        Replay::start(&hub, &Day::recorded(), options.speed, stop).await?
    };
    read_models.wait_live().await?;
    Ok(Parts { database, hub, read_models, replay, replaying })
}

fn router(hub: &Hub, replay: Replay, read_models: ReadModels) -> Router {
    assets::router(&FILES).nest("/api", api::router(hub, replay, read_models))
}
// ANCHOR_END: open

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::Exposed(address));
    }
    let failed = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
