use std::sync::Arc;

use downlink::decider::{CommandContext, CommandId, ExecuteError, SnapshotStore, Snapshots};
use downlink::{ErrorKind, Executor, Hub, LocalBus, MemoryStore, StreamId};

use super::tally::{Delay, FlightEvent, Sum, Tally, TooLate};

/// What a client learns of a command.
pub(super) type Answer = Result<Done, Failure>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Done {
    events: Vec<FlightEvent>,
    state: Sum,
    versions: Option<(u64, u64)>,
    duplicate: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    Refused(TooLate),
    Other(Option<ErrorKind>),
}

/// A log, and a backup of it.
pub(super) struct Log {
    store: MemoryStore,
    hub: Hub,
    backup: MemoryStore,
}

impl Log {
    pub(super) async fn new() -> Self {
        let store = MemoryStore::new();
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.expect("a hub");
        Self { backup: store.snapshot(), store, hub }
    }

    pub(super) fn back_up(&mut self) {
        self.backup = self.store.snapshot();
    }

    pub(super) fn restore(&self) {
        self.store.restore(&self.backup);
    }

    /// Executes a command, with snapshots or without.
    pub(super) async fn execute(
        &self,
        snapshots: Option<Snapshots>,
        tally: Tally,
        (stream, id): (&StreamId, CommandId),
        delay: Delay,
    ) -> Answer {
        let mut executor = Executor::new(&self.hub, tally);
        if let Some(snapshots) = snapshots {
            executor = executor.with_snapshots(snapshots);
        }
        let executed = executor.execute_with(&CommandContext::of(id), stream.clone(), delay).await;
        match executed {
            Ok(done) => Ok(Done {
                events: done.events,
                state: done.state,
                versions: done.written.map(|written| (written.first.get(), written.last.get())),
                duplicate: done.duplicate,
            }),
            Err(ExecuteError::Refused(refusal)) => Err(Failure::Refused(refusal)),
            Err(ExecuteError::Store(error)) => Err(Failure::Other(Some(error.kind()))),
            Err(_) => Err(Failure::Other(None)),
        }
    }
}

/// The snapshots of a tally, with a low limit.
pub(super) fn snapshots(store: &Arc<dyn SnapshotStore>, tally: Tally, every: u64) -> Snapshots {
    Snapshots::new(Arc::clone(store), tally.name(), SCHEMA)
        .with_every(every)
        .with_max_bytes(MAX_BYTES)
}

pub(super) const SCHEMA: u32 = 7;

pub(super) const MAX_BYTES: usize = 100;
