use std::sync::Arc;

use downlink::{Append, ErrorKind, Expected};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::StoreFixture;
use crate::model::Model;
use crate::operations::{any_append, any_misuse, any_operation, any_repeat};
use crate::run::LawRun;
use crate::sample::{append, event, log, stream, stream_of, version};
use crate::tasks;

/// **Law.** An append succeeds exactly if its expectations hold. A refused
/// append reports every failed check with the actual version, and writes
/// nothing.
pub fn expectations_hold_or_conflict(run: &LawRun, fixture: &dyn StoreFixture) {
    run.cases(40, vec(any_append(), 1..24), async |operations| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let mut model = Model::default();
        for operation in &operations {
            operation.apply(&mut model, &*store).await;
        }
    });
}

/// **Law.** The events of a stream have the versions 1, 2, 3, … in the order of
/// their batches, also under concurrent appends.
pub async fn versions_are_dense(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    for round in 0..10 {
        let name = stream(&format!("flight-{round}"));
        let writers = (0..8).map(|writer| {
            let (store, name) = (Arc::clone(&store), name.clone());
            tokio::spawn(async move {
                let batch = append(name.as_str(), Expected::Any, 1 + writer % 3);
                let appended = store.append(batch).await;
                appended.unwrap_or_else(|error| panic!("an append that expects nothing: {error}"))
            })
        });
        let appended = tasks::join(writers.collect::<Vec<_>>()).await;
        let found: Vec<_> =
            stream_of(&*store, &name).await.iter().map(downlink::Event::version).collect();
        let dense: Vec<_> = (1..=found.len()).map(version).collect();
        assert_eq!(
            found, dense,
            "versions have gaps or repeat: number the events inside the transaction that inserts \
             them, after it has taken the lock"
        );
        let mut reported: Vec<_> = appended
            .iter()
            .map(|appended| (appended.writes[0].first, appended.writes[0].last))
            .collect();
        reported.sort_unstable();
        let contiguous = reported.windows(2).all(|pair| pair[0].1.next() == pair[1].0);
        assert!(contiguous, "appends returned versions that overlap or leave gaps: {reported:?}");
    }
}

/// **Law.** An append to several streams with several checks is stored as a
/// whole or not at all, also if only the expectation on its last stream fails.
pub async fn append_is_atomic(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    store.append(append("gate-C71", Expected::NoStream, 1)).await.expect("a first event");
    let readers = watch_for_halves(&store);
    for round in 1..=40 {
        let doomed = to_two_streams()
            .and("gate-C71", Expected::NoStream, [event("GateTaken")])
            .expect("a valid name");
        let refused = store.append(doomed).await.expect_err("the last stream exists");
        assert_eq!(refused.kind(), ErrorKind::Conflict, "not a conflict: {refused}");
        store.append(to_two_streams()).await.expect("an append to two streams");
        for name in ["flight-UA1545", "flight-AA1141"] {
            let found = stream_of(&*store, &stream(name)).await.len();
            assert!(
                found == 2 * round,
                "half a batch: stream '{name}' has {found} events after {round} appends of two \
                 each; a refusal keeps nothing, and an insert that fails fails the whole append"
            );
        }
    }
    stop(readers).await;
}

fn to_two_streams() -> Append {
    append("flight-UA1545", Expected::Any, 2)
        .and("flight-AA1141", Expected::Any, [event("FlightDelayed"), event("FlightDelayed")])
        .expect("a valid name")
}

/// Starts two readers that read the log all the time and fail at half of an
/// append.
fn watch_for_halves(store: &Arc<dyn downlink::EventStore>) -> Vec<tokio::task::JoinHandle<()>> {
    let watch = |store: Arc<dyn downlink::EventStore>| async move {
        loop {
            let events = log(&*store).await;
            let count =
                |name: &str| events.iter().filter(|event| event.stream().as_str() == name).count();
            let (one, other) = (count("flight-UA1545"), count("flight-AA1141"));
            assert!(
                one == other,
                "a reader saw half an append: {one} events of its first stream and {other} of its \
                 second; make a batch visible in one commit"
            );
            tokio::task::yield_now().await;
        }
    };
    (0..2).map(|_| tokio::spawn(watch(Arc::clone(store)))).collect()
}

async fn stop(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        task.abort();
        match task.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    }
}

/// **Law.** An append whose ids are all stored already in their streams, in the
/// same order and with the same content, is a duplicate. It returns the
/// original versions and positions, whatever it expects this time, however many
/// events were stored since, and also if it races the first attempt.
pub fn a_repeat_is_a_duplicate(run: &LawRun, fixture: &dyn StoreFixture) {
    let operations = prop_oneof![1 => any_append(), 1 => any_repeat()];
    run.cases(24, vec(operations, 2..16), async |operations| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let mut model = Model::default();
        for operation in &operations {
            operation.apply(&mut model, &*store).await;
        }
        let firsts: Vec<_> = model.appends().to_vec();
        for _ in 0..40 {
            store.append(append("tower", Expected::Any, 2)).await.expect("another append");
        }
        for first in &firsts {
            let repeat = store.append(first.clone()).await.unwrap_or_else(|error| {
                panic!(
                    "a repeat of a stored append was refused after many others: {error}; ids stay \
                     known forever"
                )
            });
            assert!(
                repeat.duplicate,
                "a repeat was stored again after many other appends: ids stay known forever, not \
                 only those in a cache"
            );
        }
        race_with_itself(&store).await;
    });
}

/// Makes the same append from several tasks at once, as a client with
/// aggressive retries does.
async fn race_with_itself(store: &Arc<dyn downlink::EventStore>) {
    let same = append("flight-twice", Expected::NoStream, 2);
    let callers = (0..4).map(|_| {
        let (store, same) = (Arc::clone(store), same.clone());
        tokio::spawn(async move { store.append(same).await })
    });
    let outcomes = tasks::join(callers.collect::<Vec<_>>()).await;
    let firsts =
        outcomes.iter().filter(|outcome| matches!(outcome, Ok(appended) if !appended.duplicate));
    assert_eq!(
        firsts.count(),
        1,
        "of one append made four times at once, one has to be stored and three have to be \
         duplicates: {outcomes:?}"
    );
    assert!(
        outcomes.iter().all(Result::is_ok),
        "a repeat that raced the first attempt was refused: look for known ids inside the \
         transaction, and among the appends of the same group: {outcomes:?}"
    );
    let stored = stream_of(&**store, &stream("flight-twice")).await.len();
    assert_eq!(stored, 2, "one append made four times at once was stored more than once");
}

/// **Law.** An append that uses a known id with other content, in another
/// stream, in another order or together with a new event is refused as
/// `IdReused`, and writes nothing.
pub fn a_known_id_with_other_content_is_refused(run: &LawRun, fixture: &dyn StoreFixture) {
    let operations = prop_oneof![2 => any_append(), 3 => any_misuse()];
    run.cases(40, vec(operations, 2..20), async |operations| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let mut model = Model::default();
        for operation in &operations {
            operation.apply(&mut model, &*store).await;
        }
    });
}

/// **Law.** Whatever is appended, repeated, misused and read, in any order, the
/// store answers as the [`Model`] does.
pub fn agrees_with_the_model(run: &LawRun, fixture: &dyn StoreFixture) {
    run.cases(48, vec(any_operation(), 1..40), async |operations| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let mut model = Model::default();
        for operation in &operations {
            operation.apply(&mut model, &*store).await;
        }
        let found = log(&*store).await;
        assert_eq!(
            found,
            model.log(),
            "the log is not what was appended, in the order of the appends"
        );
    });
}
