use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink::event::Timestamp;
use downlink::{EventId, Version};

use crate::fixture::SnapshotFixture;
use crate::sample::{NAMES, stream, version};
use crate::tasks;

const NO_LIMIT: usize = usize::MAX;

/// No two snapshots have the same time.
static NEXT_TIME: AtomicU64 = AtomicU64::new(1_796_000_000_000_001);

fn key(stream_name: &str, name: &str) -> SnapshotKey {
    SnapshotKey { stream: stream(stream_name), name: name.to_owned() }
}

fn snapshot(number: usize, state: impl Into<Bytes>) -> Snapshot {
    Snapshot {
        schema: 1,
        version: version(number),
        event: EventId::now(),
        recorded_at: Timestamp::from_micros(NEXT_TIME.fetch_add(1, Ordering::Relaxed)),
        state: state.into(),
    }
}

/// Snapshots under similar keys, and with extreme values.
fn samples() -> Vec<(SnapshotKey, Snapshot)> {
    let named = NAMES.iter().flat_map(|stream| NAMES.iter().map(move |name| key(stream, name)));
    let mut samples: Vec<_> = named
        .enumerate()
        .map(|(number, key)| (key, snapshot(number + 1, format!("{{\"sum\":{number}}}"))))
        .collect();
    let highest = Snapshot { schema: u32::MAX, version: Version::MAX, ..snapshot(1, "{}") };
    samples.push((key("gate-gate", "1"), highest));
    samples.push((key("gate", "gate-1-"), snapshot(1, Bytes::new())));
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    samples.push((key("gate", "tower \u{1f6eb}'"), snapshot(1, all_bytes)));
    samples
}

async fn compare(store: &dyn SnapshotStore, samples: &[(SnapshotKey, Snapshot)], when: &str) {
    for (key, saved) in samples {
        let found = store.load(key, NO_LIMIT).await.expect("a snapshot");
        assert!(
            found.as_ref() == Some(saved),
            "what was saved last under {key:?} did not come back {when}: it was {saved:?} and is \
             {found:?}; keep each key apart and its bytes as they are"
        );
    }
}

/// **Law.** What was saved last under a key comes back, byte for byte, and under
/// no other key; also after the store was opened again, and if it is older than
/// what it replaces. Of snapshots saved at the same time, one comes back whole.
pub async fn a_saved_snapshot_comes_back(fixture: &dyn SnapshotFixture) {
    let place = fixture.create().await.expect("a place for snapshots");
    let store = place.open().await.expect("the place to open");
    let mut samples = samples();
    for (key, snapshot) in &samples {
        let found = store.load(key, NO_LIMIT).await.expect("no snapshot");
        assert_eq!(found, None, "a snapshot was found under {key:?} before one was saved there");
        store.save(key, snapshot.clone()).await.expect("a snapshot to be saved");
    }
    compare(&*store, &samples, "at once").await;
    drop(store);
    let store = place.open().await.expect("the place to open again");
    compare(&*store, &samples, "after reopening").await;
    for (number, (key, saved)) in samples.iter_mut().enumerate() {
        // Both newer and older ones than before.
        *saved = snapshot(20, format!("{{\"again\":{number}}}"));
        store.save(key, saved.clone()).await.expect("a snapshot to be replaced");
    }
    compare(&*store, &samples, "in place of another").await;
    saved_at_once(store).await;
}

async fn saved_at_once(store: Arc<dyn SnapshotStore>) {
    let key = key("gate", "tower");
    let offered: Vec<_> =
        (1..=8_u8).map(|number| snapshot(usize::from(number), vec![number; 20_000])).collect();
    let saves = offered.iter().cloned().map(|snapshot| {
        let (store, key) = (Arc::clone(&store), key.clone());
        tokio::spawn(async move { store.save(&key, snapshot).await })
    });
    for saved in tasks::join(saves.collect::<Vec<_>>()).await {
        saved.expect("a snapshot to be saved beside others");
    }
    let found = store.load(&key, NO_LIMIT).await.expect("a snapshot").expect("one of them");
    assert!(
        offered.contains(&found),
        "{found:?} is none of the snapshots that were saved at the same time: save one in one step"
    );
}

/// **Law.** A snapshot whose state has more bytes than the caller takes is not
/// returned, and stays.
pub async fn a_snapshot_above_the_limit_is_not_loaded(fixture: &dyn SnapshotFixture) {
    let place = fixture.create().await.expect("a place for snapshots");
    let store = place.open().await.expect("the place to open");
    let key = key("gate", "tower");
    for bytes in [1_000, 300_000] {
        let saved = snapshot(1, vec![b'7'; bytes]);
        store.save(&key, saved.clone()).await.expect("a snapshot to be saved");
        for limit in [0, bytes - 1] {
            let found = store.load(&key, limit).await.expect("no snapshot");
            assert!(
                found.is_none(),
                "a state of {bytes} bytes was loaded by a caller that takes {limit}: compare its \
                 length before it is read"
            );
        }
        for limit in [bytes, bytes + 1, NO_LIMIT] {
            let found = store.load(&key, limit).await.expect("a snapshot");
            assert!(
                found.as_ref() == Some(&saved),
                "a state of {bytes} bytes was not loaded by a caller that takes {limit}"
            );
        }
    }
}
