//! Failures of appends, and the state after them.

use std::time::Duration;

use downlink::commit::Transacted;
use downlink::event::ContentType;
use downlink::{Append, Check, ErrorKind, EventStore, Expected, Filter, NewEvent, Read, limits};
use futures::future::{BoxFuture, join_all};
use futures::poll;
use rusqlite::Connection;

use crate::support::driver::{Options, Store};
use crate::support::{TempLog, all, append, chain, stored};
use crate::transact::transact;
use crate::transacting::Do;

type PendingAppend<'a> = BoxFuture<'a, downlink::Result<downlink::store::Appended>>;

/// Holds the lock as another program.
fn hold_lock(temp: &TempLog) -> Connection {
    let other = temp.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// Queues appends so that the writer takes all but the first as one group.
async fn in_one_group(
    store: &Store,
    temp: &TempLog,
    appends: Vec<Append>,
) -> Vec<downlink::Result<downlink::store::Appended>> {
    let lock = hold_lock(temp);
    let mut waiting: Vec<PendingAppend<'_>> = vec![store.append(append("first", 1))];
    waiting.extend(appends.into_iter().map(|append| store.append(append)));
    for waiting in &mut waiting {
        assert!(poll!(waiting).is_pending());
    }
    lock.execute_batch("ROLLBACK").unwrap();
    join_all(waiting).await.split_off(1)
}

fn photo(bytes: usize) -> NewEvent {
    let binary = ContentType::new("application/octet-stream").unwrap();
    NewEvent::bytes("Photo", binary, vec![7; bytes]).unwrap()
}

#[tokio::test]
async fn a_full_queue_is_overloaded_at_once() {
    let temp = TempLog::new();
    let store = Options::new().with_queue(2).open(&temp.path).await.unwrap();
    let lock = hold_lock(&temp);
    let (mut one, mut two) = (store.append(append("s", 1)), store.append(append("s", 1)));
    assert!(poll!(&mut one).is_pending() && poll!(&mut two).is_pending());
    let error = store.append(append("s", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    lock.execute_batch("ROLLBACK").unwrap();
    one.await.unwrap();
    two.await.unwrap();
    stored(&store, "s", 1).await;
    assert_eq!(all(&store).await.events.len(), 3);
}

#[tokio::test]
async fn a_queue_full_of_bytes_is_overloaded_at_once() {
    let temp = TempLog::new();
    let store = Options::new().with_queue_bytes(1_000).open(&temp.path).await.unwrap();
    let big = || Append::to("s", Expected::Any, [photo(1_500)]).unwrap();
    store.append(big()).await.expect("an append to an empty queue");
    let lock = hold_lock(&temp);
    let mut one = store.append(big());
    assert!(poll!(&mut one).is_pending());
    assert_eq!(store.append(append("s", 1)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    lock.execute_batch("ROLLBACK").unwrap();
    one.await.unwrap();
    stored(&store, "s", 1).await;
}

#[tokio::test]
async fn a_foreign_lock_past_the_deadline_is_busy() {
    let temp = TempLog::new();
    let options = Options::new().with_busy_deadline(Duration::from_millis(20));
    let store = options.open(&temp.path).await.unwrap();
    let lock = hold_lock(&temp);
    let offered = append("s", 1);
    let error = store.append(offered.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", chain(&error));
    assert!(all(&store).await.events.is_empty());
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(!store.append(offered).await.unwrap().duplicate);
}

#[tokio::test]
async fn only_the_append_that_fails_is_taken_out_of_its_group() {
    let temp = TempLog::new();
    let store = temp.open().await;
    temp
        .sql()
        .execute_batch(
            "CREATE TRIGGER poison BEFORE INSERT ON downlink_events WHEN NEW.payload = CAST('\"poison\"' AS BLOB) \
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
        )
        .unwrap();
    let poison = || NewEvent::json("FlightDelayed", "\"poison\"").unwrap();
    let mut appends: Vec<_> = (0..8).map(|_| append("flight-UA1545", 2)).collect();
    appends[3] =
        Append::to("flight-UA1545", Expected::Any, [crate::support::event("Half"), poison()])
            .unwrap();
    let outcomes = in_one_group(&store, &temp, appends).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(appended) => assert!(index != 3 && !appended.duplicate),
            Err(error) => {
                assert_eq!((index, error.kind()), (3, ErrorKind::Backend));
                assert!(chain(error).contains("poisoned"), "{}", chain(error));
            }
        }
    }
    assert_eq!(all(&store).await.events.len(), 1 + 7 * 2);
    assert!(store.verify().await.unwrap().is_sound());
}

/// A constraint that is only checked by COMMIT.
#[tokio::test]
async fn a_commit_that_fails_is_rolled_back() {
    let temp = TempLog::new();
    let store = temp.open().await;
    temp
        .sql()
        .execute_batch(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);
             CREATE TABLE children (id REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER poison AFTER INSERT ON downlink_events WHEN NEW.payload = CAST('\"poison\"' AS BLOB)
             BEGIN INSERT INTO children VALUES (1); END",
        )
        .unwrap();
    let poison = NewEvent::json("FlightDelayed", "\"poison\"").unwrap();
    let failing = Append::to("flight-AA1", Expected::Any, [poison]).unwrap();
    let outcomes = in_one_group(
        &store,
        &temp,
        vec![append("flight-AA1", 1), failing, append("flight-AA1", 1)],
    )
    .await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(all(&store).await.events.len(), 3);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_full_disk_fails_only_what_does_not_fit() {
    let temp = TempLog::new();
    let store = Options::new().with_max_size(512 << 10).open(&temp.path).await.unwrap();
    let big = Append::to("photos", Expected::Any, [photo(limits::MAX_PAYLOAD_BYTES)]).unwrap();
    let outcomes =
        in_one_group(&store, &temp, vec![append("s", 1), big.clone(), append("s", 1)]).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::StorageFull);
    // It also fails alone, each time in the same way, and leaves nothing behind.
    for _ in 0..3 {
        assert_eq!(store.append(big.clone()).await.unwrap_err().kind(), ErrorKind::StorageFull);
        stored(&store, "s", 1).await;
    }
    assert_eq!(all(&store).await.events.len(), 3 + 3);
    store.close().await;

    let store = temp.open().await;
    assert!(!store.append(big).await.unwrap().duplicate);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_full_log_keeps_what_it_acknowledged() {
    let temp = TempLog::new();
    let store = Options::new().with_max_size(256 << 10).open(&temp.path).await.unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match store.append(Append::to("s", Expected::Any, [photo(3_000)]).unwrap()).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(all(&store).await.events.len(), acknowledged);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn dropped_appends_leave_nothing_open() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let appends: Vec<_> = (0..100).map(|n| append(&format!("flight-{}", n % 7), 3)).collect();
    for offered in &appends {
        // Queued by the first poll, and then dropped.
        let _ = poll!(store.append(offered.clone()));
    }
    stored(&store, "flight-0", 1).await;
    // No lock is left: another program may write.
    hold_lock(&temp).execute_batch("ROLLBACK").unwrap();
    for offered in appends {
        store.append(offered).await.unwrap();
    }
    assert_eq!(all(&store).await.events.len(), 301);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_boundary_fails_if_another_append_came_in_between() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let seen = stored(&store, "s", 1).await.cursor;
    let only_if_nothing_came = |stream: &str| {
        let check = Check::NothingAfter(Filter::everything(), seen);
        append(stream, 1).with_check(check)
    };
    let outcomes =
        in_one_group(&store, &temp, vec![only_if_nothing_came("a"), only_if_nothing_came("b")])
            .await;
    // The append that delayed the group came after `seen`.
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
async fn many_reads_at_once_are_all_answered() {
    let temp = TempLog::new();
    let store = Options::new().with_readers(1).open(&temp.path).await.unwrap();
    stored(&store, "s", 10).await;
    let mut reads: Vec<_> = (0..500).map(|_| store.read_log(Read::log())).collect();
    for read in reads.iter_mut().step_by(3) {
        let _ = poll!(read);
    }
    let kept =
        reads.into_iter().enumerate().filter(|(index, _)| index % 3 != 0).map(|(_, read)| read);
    for page in join_all(kept).await {
        assert_eq!(page.unwrap().events.len(), 10);
    }
}

#[tokio::test]
async fn every_duration_may_be_unlimited() {
    let temp = TempLog::new();
    let options = Options::new()
        .with_busy_deadline(Duration::MAX)
        .with_linger(Duration::MAX)
        .with_transaction_deadline(Duration::MAX)
        .with_query_limit(Duration::MAX);
    let store = options.open(&temp.path).await.unwrap();
    // A single appender does not linger, so each of these is a group.
    for _ in 0..20 {
        stored(&store, "flight-UA1545", 1).await;
    }
    temp.sql().execute_batch("CREATE TABLE gates (gate TEXT)").unwrap();
    let taken = transact(&store, vec![Do::Append(append("flight-UA1545", 1))]).await;
    assert_eq!(taken.unwrap(), Transacted::Committed(0));
    assert_eq!(all(&store).await.events.len(), 21);
    store.close().await;
}

#[tokio::test]
async fn a_busy_deadline_of_zero_does_not_wait() {
    let temp = TempLog::new();
    let options = Options::new().with_busy_deadline(Duration::ZERO).with_linger(Duration::ZERO);
    let store = options.open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let lock = hold_lock(&temp);
    let error = store.append(append("flight-UA1545", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", chain(&error));
    lock.execute_batch("ROLLBACK").unwrap();
    stored(&store, "flight-UA1545", 1).await;
}
