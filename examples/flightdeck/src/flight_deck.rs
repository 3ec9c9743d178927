use std::net::SocketAddr;

use axum::Router;
use downlink::{Error, ErrorKind, Hub, Result};
use downlink_any::Log;
use downlink_transports::assets;
use downlink_transports::serve::{self, Server, Signals};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api;
use crate::assets::FILES;
use crate::day::Day;
use crate::options::Options;
use crate::read_models::ReadModels;
use crate::replay::Replay;

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
    log: Log,
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
    /// [`Invalid`](ErrorKind::Invalid) for an address that other machines can reach, those of
    /// [`serve::bind`], and those of the log; the message says what to do.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may have been deleted or created.
    pub async fn start(options: &Options, signals: Signals) -> Result<Self> {
        // The address first: a program that listens on it may also use the log.
        let (listener, address) = listen(options.listen).await?;
        if options.fresh {
            options.log.delete().await?;
        }
        let log = options.log.open().await?;
        let parts = start(log, options, &signals).await;
        let parts = parts.map_err(|error| options.log.refused(error))?;
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
        let Parts { log, hub, read_models, replay, replaying } = self.parts;
        let router = router(&hub, replay, &read_models);
        let outcome =
            Server::new(router).with_force(force).serve(self.listener, drain.clone()).await;
        drain.cancel();
        // A panic in the replay was already reported; close the log in any case.
        let _ = replaying.await;
        hub.shutdown().await;
        log.close().await;
        outcome
    }
}

// ANCHOR: open
async fn start(log: Log, options: &Options, signals: &Signals) -> Result<Parts> {
    let hub = log.hub().await?;
    let read_models = ReadModels::start(&hub, &log)?;
    let stop = signals.drain.clone();
    let (replay, replaying) = if options.no_replay {
        Replay::follow(&hub, stop).await?
    } else {
        Replay::start(&hub, &Day::recorded(), options.speed, stop).await?
    };
    read_models.wait_live().await?;
    Ok(Parts { log, hub, read_models, replay, replaying })
}

fn router(hub: &Hub, replay: Replay, read_models: &ReadModels) -> Router {
    assets::router(&FILES).nest("/api", api::router(hub, replay, read_models))
}
// ANCHOR_END: open

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    if !address.ip().is_loopback() {
        let message = format!(
            "other machines can reach {address}, and FlightDeck has no authentication: choose a \
             loopback address with --listen, such as 127.0.0.1:3000"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    serve::bind(address).await
}
