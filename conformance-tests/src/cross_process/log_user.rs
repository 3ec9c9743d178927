use std::sync::Arc;
use std::time::Duration;

use downlink::error::FailedCheck;
use downlink::{
    Append, Bus, ErrorKind, EventStore, Expected, Hub, Item, Result, Subscribe, Subscription,
    Version,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::peer_command::PeerCommand;
use crate::sample::{append, event, stream, stream_of};
use crate::tasks;

/// Tasks that append in one process when it saturates the log.
pub(super) const APPENDERS: usize = 4;

/// Events of each of their appends, so that a transaction takes long in
/// relation to its overhead.
pub(super) const EVENTS: usize = 25;

/// A poll interval so long that only the bus can wake a hub within a law.
pub(super) const NEVER: Duration = Duration::from_hours(1);

/// One user of a shared log, in this process or in another, which executes
/// commands.
pub(super) struct LogUser {
    name: &'static str,
    store: Arc<dyn EventStore>,
    bus: Arc<dyn Bus>,
    labels: usize,
    following: Option<(Hub, Subscription)>,
    saturating: Option<Saturating>,
}

struct Saturating {
    stop: CancellationToken,
    appenders: Vec<JoinHandle<()>>,
    reached: mpsc::Receiver<Result<()>>,
}

impl LogUser {
    /// The name distinguishes its events from those of other users.
    pub(super) fn new(name: &'static str, store: Arc<dyn EventStore>, bus: Arc<dyn Bus>) -> Self {
        Self { name, store, bus, labels: 0, following: None, saturating: None }
    }

    /// Executes a command, and returns its result as words.
    pub(super) async fn execute(&mut self, command: PeerCommand) -> Result<Vec<String>> {
        match command {
            PeerCommand::Append { stream, after, count } => {
                let expected = PeerCommand::expectation(after);
                let appended = self.store.append(append(&stream, expected, count)).await?;
                Ok(vec![appended.writes[0].last.get().to_string()])
            }
            PeerCommand::Count { stream: name } => {
                Ok(vec![stream_of(&*self.store, &stream(&name)).await.len().to_string()])
            }
            PeerCommand::Race { stream, until } => self.race(&stream, until).await,
            PeerCommand::Batches { stream, count } => self.batches(&stream, count).await,
            PeerCommand::Saturate { count } => self.saturate(count).await,
            PeerCommand::StopSaturating => self.rest().await,
            PeerCommand::Follow => self.follow().await,
            PeerCommand::Next => self.next().await,
        }
    }

    async fn race(&mut self, stream: &str, until: usize) -> Result<Vec<String>> {
        let (mut won, mut at) = (Vec::new(), None::<Version>);
        while at.is_none_or(|version| version.get() < count(until)) {
            let (label, offered) = self.labelled(stream, Expected::at(at), 2);
            match self.store.append(offered).await {
                Ok(appended) => {
                    at = Some(appended.writes[0].last);
                    won.push(format!("{label}@{}", appended.writes[0].first.get()));
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    at = match error.failed_checks() {
                        [FailedCheck::Stream { actual, .. }, ..] => *actual,
                        _ => return Err(error),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        Ok(won)
    }

    async fn batches(&mut self, stream: &str, count: usize) -> Result<Vec<String>> {
        let mut stored = Vec::new();
        for _ in 0..count {
            let (label, offered) = self.labelled(stream, Expected::Any, 3);
            let appended = self.store.append(offered).await?;
            stored.push(format!("{label}@{}", appended.writes[0].first.get()));
        }
        Ok(stored)
    }

    /// A batch with a label that no other batch has.
    fn labelled(&mut self, stream: &str, expected: Expected, count: usize) -> (String, Append) {
        self.labels += 1;
        let label = format!("{}-{}", self.name, self.labels);
        let events: Vec<_> = (0..count).map(|_| event(&label)).collect();
        let offered = Append::to(stream, expected, events).expect("a valid name");
        (label, offered)
    }

    async fn saturate(&mut self, count: usize) -> Result<Vec<String>> {
        let stop = CancellationToken::new();
        // Each task reports once that it has stored its share, and once that it failed.
        let (reported, mut reached) = mpsc::channel(2 * APPENDERS);
        let appenders = (0..APPENDERS).map(|number| {
            let (store, stream) = (Arc::clone(&self.store), format!("{}-{number}", self.name));
            let (reported, stop) = (reported.clone(), stop.clone());
            tokio::spawn(appender(store, stream, count / APPENDERS, reported, stop))
        });
        let appenders = appenders.collect();
        for _ in 0..APPENDERS {
            reached.recv().await.expect("appenders that report")?;
        }
        self.saturating = Some(Saturating { stop, appenders, reached });
        Ok(Vec::new())
    }

    async fn rest(&mut self) -> Result<Vec<String>> {
        if let Some(Saturating { stop, appenders, mut reached }) = self.saturating.take() {
            stop.cancel();
            tasks::join(appenders).await;
            while let Ok(reported) = reached.try_recv() {
                reported?;
            }
        }
        Ok(Vec::new())
    }

    async fn follow(&mut self) -> Result<Vec<String>> {
        let hub =
            Hub::builder(Arc::clone(&self.store), Arc::clone(&self.bus)).with_poll_interval(NEVER);
        let hub = hub.start().await?;
        let mut subscription = hub.subscribe(Subscribe::new()).await?;
        while !matches!(subscription.next().await.transpose()?, Some(Item::Live { .. }) | None) {}
        self.following = Some((hub, subscription));
        Ok(Vec::new())
    }

    async fn next(&mut self) -> Result<Vec<String>> {
        let (_, subscription) = self.following.as_mut().expect("`follow` comes before `next`");
        loop {
            match subscription.next().await.transpose()? {
                Some(Item::Event(event)) => return Ok(vec![event.position().get().to_string()]),
                Some(_) => {}
                None => return Ok(vec!["nothing".to_owned()]),
            }
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("a number of events")
}

/// Stores its share, reports that, and continues until it is stopped.
async fn appender(
    store: Arc<dyn EventStore>,
    stream: String,
    share: usize,
    reported: mpsc::Sender<Result<()>>,
    stop: CancellationToken,
) {
    let mut stored = 0;
    while !stop.is_cancelled() {
        let outcome = store.append(append(&stream, Expected::Any, EVENTS)).await;
        stored += 1;
        let has_failed = outcome.is_err();
        if has_failed || stored == share {
            // The receiver is gone if another appender has failed before.
            let _ = reported.send(outcome.map(drop)).await;
        }
        if has_failed {
            return;
        }
    }
}
