use downlink::Hub;
use downlink_transports::serve::Signals;
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::day::Day;
use crate::options::ReplayOptions;
use crate::replay::Replay;
use crate::start_error::StartError;

/// The replay without a server: it appends to a log that another process serves.
#[derive(Debug)]
pub struct Replayer {
    database: Database,
    hub: Hub,
    replay: Replay,
    replaying: JoinHandle<()>,
    signals: Signals,
}

impl Replayer {
    /// Opens the log and starts or resumes the replay.
    ///
    /// # Errors
    ///
    /// [`StartError`], whose message says what to do.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may have been created.
    pub async fn start(options: &ReplayOptions, signals: Signals) -> Result<Self, StartError> {
        let failed = |error| StartError::Log(options.log.place(), error);
        let database = options.log.open().await.map_err(failed)?;
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

    /// Runs until the first signal or the end of the day, and closes the log.
    pub async fn run(self) {
        let Signals { drain, .. } = self.signals;
        drain.run_until_cancelled(self.replay.finished()).await;
        drain.cancel();
        // A panic in the replay was already reported; close the log in any case.
        let _ = self.replaying.await;
        self.hub.shutdown().await;
        self.database.close().await;
    }
}
