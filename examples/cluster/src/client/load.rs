use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::appender::Appender;
use crate::client::follower::Follower;
use crate::client::ledger::{Counts, Ledger, Phase, Times};

/// What is not delivered for so long after the last append is lost.
const DEADLINE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(250);

/// In which an event that was delivered may come again.
const GRACE: Duration = Duration::from_secs(1);

/// Clients that append, and as many that follow.
#[derive(Debug)]
pub(crate) struct Load {
    ledger: Arc<Mutex<Ledger>>,
    appenders: JoinSet<()>,
    followers: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    /// Begins to append `rate` events per second to the servers at this address.
    pub(crate) fn start(authority: &str, clients: u32, rate: u32) -> Self {
        let count = usize::try_from(clients).expect("a few clients");
        let ledger = Arc::new(Mutex::new(Ledger::new(count)));
        let stop = CancellationToken::new();
        let (mut appenders, mut followers) = (JoinSet::new(), JoinSet::new());
        let pause = Duration::from_secs(1) * clients / rate;
        for number in 0..count {
            followers.spawn(Follower::new(authority, number, &ledger).run());
            appenders.spawn(Appender::new(authority, number, &ledger).run(pause, stop.clone()));
        }
        Self { ledger, appenders, followers, stop }
    }

    pub(crate) fn begin(&self, phase: Phase) {
        self.ledger().begin(phase, Instant::now());
    }

    pub(crate) fn counts(&self) -> Counts {
        self.ledger().counts()
    }

    /// Ends the appends, and returns the account when everything was delivered.
    pub(crate) async fn finish(mut self) -> (Counts, Times, Vec<String>) {
        self.stop.cancel();
        // Each gives up by itself.
        while let Some(ended) = self.appenders.join_next().await {
            self.check(ended);
        }
        let delivered = async {
            while self.ledger().missing() > 0 {
                sleep(PAUSE).await;
            }
        };
        // What is missing then is counted.
        let _ = timeout(DEADLINE, delivered).await;
        sleep(GRACE).await;
        while let Some(ended) = self.followers.try_join_next() {
            self.check(ended);
        }
        self.followers.shutdown().await;
        let ledger = self.ledger();
        (ledger.close(), ledger.times(), ledger.problems().to_vec())
    }

    fn check(&self, ended: Result<(), JoinError>) {
        if let Err(panic) = ended {
            self.ledger().report(format!("a client has ended: {panic}"));
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
