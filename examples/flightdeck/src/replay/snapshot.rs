use std::time::Instant;

use downlink::{Cursor, Event, Hub, Item, Result, Subscription};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::replay_decider::SCHEMA;
use super::{ReplayClock, ReplayEvent, ReplayState};

/// What a process knows of the replay at any moment, whoever runs it.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) clock: ReplayClock,
    pub(super) state: ReplayState,
    /// Everything up to here is in it.
    pub(super) cursor: Cursor,
}

impl Snapshot {
    /// The replay as its events tell it, with the clock going on from `state`'s.
    pub(super) fn new(state: ReplayState, cursor: Cursor) -> Self {
        let clock =
            ReplayClock::new(state.clock(), Instant::now(), state.speed(), state.is_stopped());
        Self { clock, state, cursor }
    }

    fn take(&mut self, event: &Event) -> Result<()> {
        self.cursor = event.cursor();
        let Some(event) = SCHEMA.decode::<ReplayEvent>(event)? else { return Ok(()) };
        self.state = self.state.clone().after(&event);
        let (now, state) = (Instant::now(), &self.state);
        // An event names the minute only: the seconds that this clock has are kept.
        self.clock = if self.clock.minute(now) == state.clock() {
            self.clock.changed(now, state.speed(), state.is_stopped())
        } else {
            ReplayClock::new(state.clock(), now, state.speed(), state.is_stopped())
        };
        Ok(())
    }
}

/// Keeps what is known up to date, until it is told to stop or the hub ends.
pub(super) async fn follow(
    mut replay: Subscription,
    snapshot: watch::Sender<Snapshot>,
    stop: CancellationToken,
) {
    while let Some(Some(item)) = stop.run_until_cancelled(replay.next()).await {
        let taken = item.and_then(|item| match item {
            Item::Event(event) => {
                let mut taken = Ok(());
                snapshot.send_modify(|snapshot| taken = snapshot.take(&event));
                taken
            }
            _ => Ok(()),
        });
        if let Err(error) = taken {
            tracing::warn!(%error, "the replay is not followed any more: restart the program");
            return;
        }
    }
}

/// Waits until what is known includes an event, for as long as anybody follows.
pub(super) async fn wait_for(snapshot: &watch::Receiver<Snapshot>, cursor: Cursor) {
    // Nobody follows any more only when the program ends.
    let _ =
        snapshot.clone().wait_for(|snapshot| snapshot.cursor.position() >= cursor.position()).await;
}

/// What a process that does not run the replay knows when it begins to follow.
pub(super) async fn look(hub: &Hub) -> Result<Snapshot> {
    let cursor = hub.head().await?;
    let fold = |state: ReplayState, event: &Event| match SCHEMA.decode(event)? {
        Some(event) => Ok(state.after(&event)),
        None => Ok(state),
    };
    let (state, _) = hub.load(super::REPLAY, ReplayState::default(), fold).await?;
    let newest = super::history::newest_minute(hub).await?;
    Ok(Snapshot::new(state.at_least(newest), cursor))
}
