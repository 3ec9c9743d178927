use bytes::Bytes;

use super::*;
use crate::event::Timestamp;
use crate::id::{EventId, Version};

const MAX: usize = usize::MAX;

fn key() -> SnapshotKey {
    SnapshotKey { stream: StreamId::new(STREAM).unwrap(), name: "Flight".into() }
}

#[tokio::test]
async fn only_refusals_after_a_snapshot_cost_an_append() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    let [plain, with_snapshots] = executors(&hub);
    for executor in [&plain, &with_snapshots] {
        // The second executor finds the events of the first, and makes its first snapshot.
        let _ = executor.execute(STREAM, Command::Schedule).await;
        executor.execute(STREAM, Command::Delay(1)).await.unwrap();
    }
    let known = CommandContext::of(CommandId::now());
    for (executor, context, asked) in [
        (&plain, &known, 0),
        (&with_snapshots, &CommandContext::new(), 0),
        (&with_snapshots, &known, 1),
    ] {
        store.appends.store(0, Ordering::Relaxed);
        executor.execute_with(context, STREAM, Command::Schedule).await.unwrap_err();
        assert_eq!(store.appends.load(Ordering::Relaxed), asked);
    }
}

#[tokio::test]
async fn a_snapshot_saves_reading_the_events_before_it() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    let kept = MemorySnapshots::new();
    let snapshots = Snapshots::new(kept.clone(), "Flight", 1).with_every(10);
    let executor = Executor::new(&hub, Flights).with_snapshots(snapshots);
    executor.execute(STREAM, Command::Schedule).await.unwrap();
    for _ in 0..20 {
        executor.execute(STREAM, Command::Delay(1)).await.unwrap();
    }
    assert_eq!(kept.load(&key(), MAX).await.unwrap().unwrap().version.get(), 20);
    store.events_read();
    let done = executor.execute(STREAM, Command::Delay(1)).await.unwrap();
    assert_eq!(done.state.late, 21);
    assert_eq!(store.events_read(), 1 + 1, "the snapshot's own event, and the one after it");
}

/// Snapshots that a store may return but that cannot be used.
fn unusable(good: &Snapshot) -> Vec<Snapshot> {
    let wrong = Bytes::from_static(br#"{"scheduled":true,"late":7,"changes":7}"#);
    let wrong = Snapshot { state: wrong, ..good.clone() };
    vec![
        Snapshot { schema: 2, ..wrong.clone() },
        Snapshot { event: EventId::now(), ..wrong.clone() },
        Snapshot { recorded_at: Timestamp::EPOCH, ..wrong.clone() },
        Snapshot { version: good.version.next(), ..wrong.clone() },
        Snapshot { version: Version::MAX, ..wrong.clone() },
        Snapshot { version: good.version.previous().unwrap_or(Version::MAX), ..wrong },
        Snapshot { state: Bytes::from_static(b"garbage"), ..good.clone() },
        Snapshot { state: Bytes::from_static(b"{}"), ..good.clone() },
    ]
}

#[tokio::test]
async fn an_unusable_snapshot_is_not_used() {
    let hub = memory::hub().await.unwrap();
    let kept = MemorySnapshots::new();
    let executor = Executor::new(&hub, Flights).with_snapshots(snapshots(&kept));
    executor.execute(STREAM, Command::Schedule).await.unwrap();
    executor.execute(STREAM, Command::Delay(5)).await.unwrap();
    let good = kept.load(&key(), MAX).await.unwrap().unwrap();
    for snapshot in unusable(&good) {
        kept.save(&key(), snapshot.clone()).await.unwrap();
        let done = executor.execute(STREAM, Command::Hold(5)).await.unwrap();
        assert_eq!(done.state, Flight { scheduled: true, late: 5, changes: 0 }, "{snapshot:?}");
    }
}

/// During an upgrade, servers of both releases execute commands on one stream.
#[tokio::test]
async fn releases_of_two_schemas_do_not_replace_each_others_snapshots_at_once() {
    let hub = memory::hub().await.unwrap();
    let kept = MemorySnapshots::new();
    let of_schema = |schema| {
        let snapshots = Snapshots::new(kept.clone(), "Flight", schema).with_every(10);
        Executor::new(&hub, Flights).with_snapshots(snapshots)
    };
    let (old, new) = (of_schema(1), of_schema(2));
    let schema = async || kept.load(&key(), MAX).await.unwrap().unwrap().schema;
    old.execute(STREAM, Command::Schedule).await.unwrap();
    for _ in 2..=10 {
        old.execute(STREAM, Command::Delay(1)).await.unwrap();
    }
    for _ in 11..20 {
        new.execute(STREAM, Command::Delay(1)).await.unwrap();
        assert_eq!(schema().await, 1);
    }
    new.execute(STREAM, Command::Delay(1)).await.unwrap();
    assert_eq!(schema().await, 2);
    // One of another history, which the stream may never reach.
    let snapshot = kept.load(&key(), MAX).await.unwrap().unwrap();
    kept.save(&key(), Snapshot { version: Version::MAX, ..snapshot }).await.unwrap();
    let done = old.execute(STREAM, Command::Delay(1)).await.unwrap();
    assert_eq!((schema().await, done.state.late), (1, 20));
}

#[tokio::test]
async fn a_state_above_the_limit_is_neither_saved_nor_loaded() {
    let hub = memory::hub().await.unwrap();
    let kept = MemorySnapshots::new();
    let up_to =
        |bytes| Executor::new(&hub, Flights).with_snapshots(snapshots(&kept).with_max_bytes(bytes));
    let state = br#"{"scheduled":true,"late":0,"changes":0}"#;
    up_to(state.len() - 1).execute(STREAM, Command::Schedule).await.unwrap();
    assert_eq!(kept.load(&key(), MAX).await.unwrap(), None);

    up_to(state.len()).execute(STREAM, Command::Delay(5)).await.unwrap();
    let saved = kept.load(&key(), MAX).await.unwrap().unwrap();
    let wrong = Bytes::from_static(br#"{"scheduled":true,"late":100,"changes":0}"#);
    kept.save(&key(), Snapshot { state: wrong.clone(), ..saved }).await.unwrap();
    let too_small = up_to(wrong.len() - 1);
    assert_eq!(too_small.execute(STREAM, Command::Hold(5)).await.unwrap().state.late, 5);
}

#[derive(Debug)]
struct NoSnapshots;

#[async_trait]
impl SnapshotStore for NoSnapshots {
    async fn load(&self, _: &SnapshotKey, _: usize) -> Result<Option<Snapshot>> {
        Err(Error::new(ErrorKind::Unavailable, "away"))
    }

    async fn save(&self, _: &SnapshotKey, _: Snapshot) -> Result<()> {
        Err(Error::new(ErrorKind::StorageFull, "full"))
    }
}

#[tokio::test]
async fn a_failing_snapshot_store_fails_no_command() {
    let hub = memory::hub().await.unwrap();
    let snapshots = Snapshots::new(NoSnapshots, "Flight", 1).with_every(1);
    let executor = Executor::new(&hub, Flights).with_snapshots(snapshots);
    executor.execute(STREAM, Command::Schedule).await.unwrap();
    assert_eq!(executor.execute(STREAM, Command::Delay(5)).await.unwrap().state.late, 5);
}

proptest! {
    #[test]
    fn snapshots_change_no_outcome(
        commands in prop::collection::vec((any_command(), prop::option::of(0..8_usize)), 1..30),
        every in 1..4_u64,
    ) {
        block_on(async {
            let ids = [(); 12].map(|()| CommandId::now());
            let (plain, other) = (memory::hub().await.unwrap(), memory::hub().await.unwrap());
            let kept = MemorySnapshots::new();
            let plain = Executor::new(&plain, Flights);
            let other = Executor::new(&other, Flights)
                .with_snapshots(snapshots(&kept).with_every(every));
            let mut last_corrupted = None;
            for ((id, command), corrupted) in commands {
                let context = CommandContext::of(ids[id]);
                let expected = outcome_of(plain.execute_with(&context, STREAM, command).await);
                let outcome = outcome_of(other.execute_with(&context, STREAM, command).await);
                prop_assert_eq!(outcome, expected, "{:?}", command);
                let good = kept.load(&key(), MAX).await.unwrap().filter(|kept| last_corrupted.as_ref() != Some(kept));
                if let (Some(which), Some(good)) = (corrupted, good) {
                    let corrupted = unusable(&good).swap_remove(which);
                    kept.save(&key(), corrupted.clone()).await.unwrap();
                    last_corrupted = Some(corrupted);
                }
            }
            Ok(())
        })?;
    }
}
