//! Rows of the application and appends in one transaction.

use std::time::Duration;

use downlink::commit::Transacted;
use downlink::{
    After, Append, BoxError, Error, ErrorKind, EventStore, Expected, Hub, Item, LocalBus, Subscribe,
};
use futures::future::join_all;

use crate::support::driver::{Options, Store};
use crate::support::{Place, all, append, event, stored};
use crate::taking::take_gate;

/// How a transaction that has written a row and appended ends.
#[derive(Debug)]
pub(crate) enum End {
    Commit,
    Fail,
    Panic,
    /// Appends by the store itself, from inside.
    Nested(Store),
    /// Writes to a table of the log.
    Meddles,
    /// Ends the transaction itself.
    Commits,
    /// Works for ever.
    Hangs,
}

async fn with_gates(place: &Place) -> Store {
    let store = place.open().await;
    place.sql().execute_batch("CREATE TABLE gates (gate TEXT, flight TEXT)").unwrap();
    store
}

fn gates(place: &Place) -> i64 {
    place.sql().query_row("SELECT count(*) FROM gates", (), |row| row.get(0)).unwrap()
}

fn kind(outcome: Result<Transacted<i64>, BoxError>) -> Option<ErrorKind> {
    let error = outcome.expect_err("the transaction fails");
    error.downcast_ref::<Error>().map(Error::kind)
}

#[tokio::test]
async fn rows_and_events_are_stored_together_and_told() {
    let place = Place::new();
    let store = with_gates(&place).await;
    let hub = Hub::builder(store.clone(), LocalBus::new())
        .fallback(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    let mut subscription = hub.subscribe(Subscribe::new().after(After::Now)).await.unwrap();
    assert!(matches!(subscription.next().await, Some(Ok(Item::Live { .. }))));
    for turn in 1..=3 {
        let taken = take_gate(&store, append("flight-UA1545", 2), End::Commit).await.unwrap();
        assert_eq!(taken, Transacted::Committed(turn), "the transaction sees its own rows");
        for _ in 0..2 {
            let item = subscription.next().await;
            assert!(matches!(item, Some(Ok(Item::Event(_)))), "{item:?}");
        }
    }
    assert_eq!((gates(&place), all(&store).await.events.len()), (3, 6));
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn what_fails_leaves_neither_rows_nor_events() {
    let place = Place::new();
    let store = with_gates(&place).await;
    stored(&store, "flight-AA1141", 1).await;
    let append = || append("flight-UA1545", 1);
    assert_eq!(kind(take_gate(&store, append(), End::Fail).await), None, "its own error");
    let panicked = kind(take_gate(&store, append(), End::Panic).await);
    assert_eq!(panicked, Some(ErrorKind::Backend));
    let meddled = take_gate(&store, append(), End::Meddles).await;
    assert!(meddled.is_err(), "{meddled:?}");
    let ended = take_gate(&store, append(), End::Commits).await;
    assert!(ended.is_err(), "{ended:?}");
    let conflict = Append::to("flight-UA1545", Expected::Exists, [event("Landed")]).unwrap();
    let refused = kind(take_gate(&store, conflict, End::Commit).await);
    assert_eq!(refused, Some(ErrorKind::Conflict));
    assert_eq!((gates(&place), all(&store).await.events.len()), (0, 1));
    // It goes on as if nothing had been.
    take_gate(&store, append(), End::Commit).await.unwrap();
    assert_eq!((gates(&place), all(&store).await.events.len()), (1, 2));
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_repetition_is_rolled_back_and_answered_with_the_original() {
    let place = Place::new();
    let store = with_gates(&place).await;
    let (first, other) = (append("flight-UA1545", 2), append("flight-AA1141", 1));
    take_gate(&store, first.clone(), End::Commit).await.unwrap();
    store.append(other.clone()).await.unwrap();
    for (repeated, from) in [(first, 1), (other, 3)] {
        match take_gate(&store, repeated, End::Commit).await.unwrap() {
            Transacted::Duplicate(original) => assert_eq!(original.first.get(), from),
            committed @ Transacted::Committed(_) => panic!("{committed:?}"),
        }
    }
    assert_eq!((gates(&place), all(&store).await.events.len()), (1, 3));
}

#[tokio::test]
async fn a_call_from_inside_is_refused_and_blocks_nobody() {
    let place = Place::new();
    let store = with_gates(&place).await;
    let nested = take_gate(&store, append("flight-UA1545", 1), End::Nested(store.clone())).await;
    assert_eq!(kind(nested), Some(ErrorKind::Invalid));
    assert_eq!((gates(&place), all(&store).await.events.len()), (0, 0));
    stored(&store, "flight-UA1545", 1).await;
}

#[tokio::test]
async fn one_that_never_ends_is_rolled_back_at_its_deadline() {
    let place = Place::new();
    drop(with_gates(&place).await);
    let options = Options::new().with_transaction_deadline(Duration::from_millis(50));
    let store = options.open(&place.path).await.unwrap();
    assert!(take_gate(&store, append("flight-UA1545", 1), End::Hangs).await.is_err());
    assert_eq!((gates(&place), all(&store).await.events.len()), (0, 0));
    take_gate(&store, append("flight-UA1545", 1), End::Commit).await.unwrap();
}

#[tokio::test]
async fn they_take_their_turns_among_the_appends() {
    let place = Place::new();
    let store = with_gates(&place).await;
    let appends = (0..40).map(|_| store.append(append("flight-UA1545", 2)));
    let takes = (0..10).map(|_| take_gate(&store, append("flight-UA1545", 1), End::Commit));
    let (stored, outcomes) = futures::join!(join_all(appends), join_all(takes));
    assert!(stored.iter().all(Result::is_ok) && outcomes.iter().all(Result::is_ok));
    let versions: Vec<_> =
        all(&store).await.events.iter().map(|event| event.version().get()).collect();
    assert_eq!(versions, (1..=90).collect::<Vec<_>>());
    assert_eq!(gates(&place), 10);
    assert!(store.verify().await.unwrap().is_sound());
}
