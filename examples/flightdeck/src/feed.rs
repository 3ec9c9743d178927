use downlink::Hub;
use downlink_transports::serve::Signals;
use tokio::task::JoinHandle;

use crate::day::Day;
use crate::replay::Replay;
use crate::{CannotStart, Database, FeedOptions};

/// The replay alone: it appends the day to a log, and other processes show it.
#[derive(Debug)]
pub struct Feed {
    database: Database,
    hub: Hub,
    replay: Replay,
    replaying: JoinHandle<()>,
    signals: Signals,
}

impl Feed {
    /// Opens the log and lets the day begin, or go on.
    ///
    /// # Errors
    ///
    /// [`CannotStart`], which says what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it may have made the file of the log.
    pub async fn start(options: &FeedOptions, signals: Signals) -> Result<Self, CannotStart> {
        let failed = |error| CannotStart::Log(options.db.clone(), error);
        let database = Database::open(options.store, &options.db).await.map_err(failed)?;
        let hub = database.hub().await.map_err(failed)?;
        let stop = signals.drain.clone();
        let started = Replay::start(&hub, &Day::recorded(), options.speed, stop).await;
        let (replay, replaying) = started.map_err(failed)?;
        Ok(Self { database, hub, replay, replaying, signals })
    }

    /// The replay.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Feeds until the first signal or the end of the day, and closes the log.
    pub async fn run(self) {
        let Signals { drain, .. } = self.signals;
        drain.run_until_cancelled(self.replay.finished()).await;
        drain.cancel();
        // A replay that panicked has said so; what counts now is to close the log.
        let _ = self.replaying.await;
        self.hub.shutdown().await;
        self.database.close().await;
    }
}
