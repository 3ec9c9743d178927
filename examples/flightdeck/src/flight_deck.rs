use std::net::SocketAddr;

use axum::Router;
use downlink::{Hub, Result};
use downlink_transports::serve::{Server, Signals};
use downlink_transports::wire::{Code, Problem};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::day::Day;
use crate::replay::Replay;
use crate::views::Views;
use crate::{CannotStart, Database, Options, api, assets, fresh};

/// The whole example: a log, the replay that writes to it, what is made of it to
/// be asked, and the server that shows it.
#[derive(Debug)]
pub struct FlightDeck {
    listener: TcpListener,
    address: SocketAddr,
    opened: Opened,
    signals: Signals,
}

/// What is open while the program runs.
#[derive(Debug)]
struct Opened {
    database: Database,
    hub: Hub,
    views: Views,
    replay: Replay,
    replaying: JoinHandle<()>,
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
        let opened = open(options, &signals).await;
        let opened = opened.map_err(|error| CannotStart::Log(options.db.clone(), error))?;
        Ok(Self { listener, address, opened, signals })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The replay.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.opened.replay
    }

    /// Serves until the first signal, says goodbye to every page, and closes
    /// the log.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`].
    pub async fn run(self) -> Result<()> {
        let Signals { drain, force } = self.signals;
        let Opened { database, hub, views, replay, replaying } = self.opened;
        let router = router(&hub, replay, views);
        let outcome =
            Server::new(router).with_force(force).serve(self.listener, drain.clone()).await;
        drain.cancel();
        // A replay that panicked has said so; what counts now is to close the log.
        let _ = replaying.await;
        hub.shutdown().await;
        database.close().await;
        outcome
    }
}

// ANCHOR: open
async fn open(options: &Options, signals: &Signals) -> Result<Opened> {
    let database = Database::open(options.store, &options.db).await?;
    let hub = database.hub().await?;
    let views = Views::start(&hub, &database)?;
    let stop = signals.drain.clone();
    let (replay, replaying) = if options.no_replay {
        Replay::follow(&hub, stop).await?
    } else {
        Replay::start(&hub, &Day::recorded(), options.speed, stop).await?
    };
    views.settle().await?;
    Ok(Opened { database, hub, views, replay, replaying })
}

fn router(hub: &Hub, replay: Replay, views: Views) -> Router {
    assets::router().nest("/api", api::router(hub, replay, views)).fallback(nothing)
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
