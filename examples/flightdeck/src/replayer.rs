use downlink::{Hub, Result};
use downlink_any::Log;
use downlink_transports::serve::Signals;
use tokio::task::JoinHandle;

use crate::day::Day;
use crate::options::ReplayOptions;
use crate::replay::Replay;

/// The replay without a server: it appends to a log that another process serves.
#[derive(Debug)]
pub struct Replayer {
    log: Log,
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
    /// Those of the log; the message says what to do.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file of the log may have been created.
    pub async fn start(options: &ReplayOptions, signals: Signals) -> Result<Self> {
        let failed = |error| options.log.refused(error);
        let log = options.log.open().await?;
        let hub = log.hub().await.map_err(failed)?;
        let stop = signals.drain.clone();
        let started = Replay::start(&hub, &Day::recorded(), options.speed, stop).await;
        let (replay, replaying) = started.map_err(failed)?;
        Ok(Self { log, hub, replay, replaying, signals })
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
        self.log.close().await;
    }
}
