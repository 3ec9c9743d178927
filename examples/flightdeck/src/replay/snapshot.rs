use std::time::Instant;

use downlink::{Cursor, Event, Hub, Item, Result, Subscription};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::replay_decider::SCHEMA;
use super::{ReplayClock, ReplayEvent, ReplayState};

/// The state of the replay, as known to this process.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) clock: ReplayClock,
    pub(super) state: ReplayState,
    /// The cursor of the last event in it.
    pub(super) cursor: Cursor,
}

impl Snapshot {
    /// A snapshot with this state, whose clock continues from now.
    pub(super) fn new(state: ReplayState, cursor: Cursor) -> Self {
        let clock =
            ReplayClock::new(state.clock(), Instant::now(), state.speed(), state.is_stopped());
        Self { clock, state, cursor }
    }

    fn apply(&mut self, event: &Event) -> Result<()> {
        self.cursor = event.cursor();
        let Some(event) = SCHEMA.decode::<ReplayEvent>(event)? else { return Ok(()) };
        self.state = self.state.clone().after(&event);
        let (now, state) = (Instant::now(), &self.state);
        // Events have no seconds: keep the clock's own within the same minute.
        self.clock = if self.clock.minute(now) == state.clock() {
            self.clock.changed(now, state.speed(), state.is_stopped())
        } else {
            ReplayClock::new(state.clock(), now, state.speed(), state.is_stopped())
        };
        Ok(())
    }
}

/// Updates the snapshot from the stream, until `stop` is cancelled or the hub ends.
pub(super) async fn follow(
    mut replay: Subscription,
    snapshot: watch::Sender<Snapshot>,
    stop: CancellationToken,
) {
    while let Some(Some(item)) = stop.run_until_cancelled(replay.next()).await {
        let outcome = item.and_then(|item| match item {
            Item::Event(event) => {
                let mut applied = Ok(());
                snapshot.send_modify(|snapshot| applied = snapshot.apply(&event));
                applied
            }
            _ => Ok(()),
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot follow the replay any more: restart the program");
            return;
        }
    }
}

/// Waits until the snapshot includes the event with this cursor.
pub(super) async fn wait_for(snapshot: &watch::Receiver<Snapshot>, cursor: Cursor) {
    // The sender is only dropped when the program ends.
    let _ =
        snapshot.clone().wait_for(|snapshot| snapshot.cursor.position() >= cursor.position()).await;
}

/// Reads the state of the replay from the log.
pub(super) async fn load(hub: &Hub) -> Result<Snapshot> {
    let cursor = hub.head().await?;
    let fold = |state: ReplayState, event: &Event| match SCHEMA.decode(event)? {
        Some(event) => Ok(state.after(&event)),
        None => Ok(state),
    };
    let (state, _) = hub.load(super::REPLAY, ReplayState::default(), fold).await?;
    let newest = super::history::newest_minute(hub).await?;
    Ok(Snapshot::new(state.at_least(newest), cursor))
}
