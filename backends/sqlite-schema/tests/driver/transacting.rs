//! Rows of the application and appends in one transaction.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use downlink::commit::{CommitNotice, Transacted};
use downlink::id::ProjectionId;
use downlink::projection::{ProjectionStore, Step, StepOutcome};
use downlink::{
    After, Append, BoxError, Error, ErrorKind, Event, EventStore, Expected, Filter, Hub, Item,
    LocalBus, Projection, Subscribe,
};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, poll};

use crate::support::driver::{Options, Store, Tx};
use crate::support::{TempLog, all, append, event, stored};
use crate::transact::transact;

/// An action in a transaction.
pub(crate) enum Do {
    Sql(&'static str),
    /// The same, but ignores the error.
    TrySql(&'static str),
    /// One after the other on the same reference to the connection, ignoring errors.
    TryEach([&'static str; 2]),
    Append(Append),
    /// The same, but ignores the error.
    TryAppend(Append),
    Run(Box<dyn FnOnce() -> Result<(), BoxError> + Send>),
    /// A call that has to fail at once.
    Call(Box<dyn FnOnce() -> BoxFuture<'static, Result<(), BoxError>> + Send>),
}

use Do::{Call, Run, Sql, TryAppend, TryEach, TrySql};

const TAKE: &str = "INSERT INTO gates VALUES ('C71', 'UA1545')";
/// A trigger refuses this row, and rolls back the transaction.
const SHUT: &str = "INSERT INTO gates VALUES ('shut', 'UA1545')";
const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                        INSERT INTO gates SELECT 'C71', max(i) FROM n";

async fn with_gates(temp: &TempLog) -> Store {
    let store = temp.open().await;
    let tables = "CREATE TABLE gates (gate TEXT, flight TEXT); CREATE TABLE photos (photo BLOB); \
                  CREATE TRIGGER shut BEFORE INSERT ON gates WHEN NEW.gate = 'shut' \
                  BEGIN SELECT RAISE(ROLLBACK, 'the gate is shut'); END";
    temp.sql().execute_batch(tables).unwrap();
    store
}

async fn with_deadline(temp: &TempLog, deadline: Duration) -> Store {
    with_gates(temp).await.close().await;
    Options::new().with_transaction_deadline(deadline).open(&temp.path).await.unwrap()
}

fn gates(temp: &TempLog) -> i64 {
    temp.sql().query_row("SELECT count(*) FROM gates", (), |row| row.get(0)).unwrap()
}

fn flight() -> Do {
    Do::Append(append("flight-UA1545", 1))
}

fn run(run: impl FnOnce() -> Result<(), BoxError> + Send + 'static) -> Do {
    Run(Box::new(run))
}

async fn take_gate(store: &Store, events: Append) -> Result<Transacted<i64>, BoxError> {
    transact(store, vec![Sql(TAKE), Do::Append(events)]).await
}

fn error(outcome: Result<Transacted<i64>, BoxError>) -> BoxError {
    outcome.expect_err("the transaction fails")
}

fn kind(outcome: Result<Transacted<i64>, BoxError>) -> Option<ErrorKind> {
    error(outcome).downcast_ref::<Error>().map(Error::kind)
}

/// Checks that there are this many rows and events, and that the store still works.
async fn there_are(store: &Store, temp: &TempLog, rows: i64, events: usize) {
    assert_eq!((gates(temp), all(store).await.events.len()), (rows, events));
    let more = append("flight-AA1141", 1_000 - events);
    store.append(more).await.expect("the store still works");
    take_gate(store, append("flight-AA1141", 1)).await.expect("transactions still work");
    let found: i64 = temp
        .sql()
        .query_row("SELECT max(position) FROM downlink_events", (), |row| row.get(0))
        .unwrap();
    assert_eq!((gates(temp), found), (rows + 1, 1_001));
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn rows_and_events_are_stored_together_and_delivered() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let mut commits = store.commits().unwrap();
    let hub = Hub::builder(store.clone(), LocalBus::new())
        .with_poll_interval(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    let mut subscription = hub.subscribe(Subscribe::new().with_after(After::Now)).await.unwrap();
    assert!(matches!(subscription.next().await, Some(Ok(Item::Live { .. }))));
    for turn in 1..=3 {
        let taken = take_gate(&store, append("flight-UA1545", 2)).await.unwrap();
        assert_eq!(taken, Transacted::Committed(turn), "the transaction sees its own rows");
        let Some(CommitNotice::Committed(commit)) = commits.try_next() else {
            panic!("no commit notice")
        };
        assert_eq!(commit.events.len(), 2);
        assert!(commits.try_next().is_none(), "only one notice");
        for _ in 0..2 {
            let item = subscription.next().await;
            assert!(matches!(item, Some(Ok(Item::Event(_)))), "{item:?}");
        }
        // A transaction that fails sends no notice.
        drop(transact(&store, vec![flight(), run(|| Err("no".into()))]).await);
    }
    assert!(commits.try_next().is_none());
    there_are(&store, &temp, 3, 6).await;
}

#[tokio::test]
async fn a_failed_transaction_leaves_neither_rows_nor_events() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    stored(&store, "flight-AA1141", 1).await;
    let take_and = |end| transact(&store, vec![Sql(TAKE), flight(), end]);
    let failed = take_and(run(|| Err("the gate is closed".into()))).await;
    assert_eq!(error(failed).to_string(), "the gate is closed", "the error of the application");
    let panicked = take_and(run(|| panic!("the gate fell off"))).await;
    assert!(error(panicked).to_string().contains("the gate fell off"));
    let conflict = Append::to("flight-UA1545", Expected::NoStream, [event("Landed")]).unwrap();
    assert_eq!(kind(take_and(Do::Append(conflict)).await), Some(ErrorKind::Conflict));
    for foreign in ["DELETE FROM downlink_events", "COMMIT", "ROLLBACK", SHUT] {
        error(take_and(Sql(foreign)).await);
    }
    there_are(&store, &temp, 0, 1).await;
}

/// A statement of the application that ends the transaction is refused, or the
/// whole transaction fails.
#[tokio::test]
async fn an_application_cannot_end_the_transaction() {
    for end in [
        "COMMIT",
        "ROLLBACK",
        "ROLLBACK; BEGIN",
        "END",
        "COMMIT; BEGIN",
        "SELECT 1; COMMIT",
        "/* so */ ROLLBACK",
        "-- so\nEND TRANSACTION; BEGIN IMMEDIATE",
        "ROLLBACK; BEGIN IMMEDIATE; SAVEPOINT downlink_job",
        "RELEASE downlink_job",
    ] {
        for begins_with_event in [true, false] {
            let temp = TempLog::new();
            let store = with_gates(&temp).await;
            let mut doing = vec![Sql(TAKE), TrySql(end), TrySql(TAKE), flight()];
            if begins_with_event {
                doing.insert(1, flight());
            }
            let events = doing.iter().filter(|doing| matches!(doing, Do::Append(_))).count();
            let is_done = transact(&store, doing).await.is_ok();
            let (rows, events) = if is_done { (2, events) } else { (0, 0) };
            there_are(&store, &temp, rows, events).await;
        }
    }
}

#[tokio::test]
async fn an_ignored_error_of_an_append_fails_the_transaction() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let conflict = Append::to("flight-UA1545", Expected::Exists, [event("Landed")]).unwrap();
    let swallowed = transact(&store, vec![Sql(TAKE), TryAppend(conflict), Sql(TAKE)]).await;
    assert_eq!(kind(swallowed), Some(ErrorKind::Conflict));
    temp.sql()
        .execute_batch(
            "CREATE TRIGGER poison BEFORE INSERT ON downlink_events WHEN NEW.version = 13 \
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
        )
        .unwrap();
    let poisoned = append("flight-UA1545", 13);
    let swallowed = transact(&store, vec![Sql(TAKE), TryAppend(poisoned)]).await;
    assert_eq!(kind(swallowed), Some(ErrorKind::Backend));
    temp.sql().execute_batch("DROP TRIGGER poison").unwrap();
    there_are(&store, &temp, 0, 0).await;
}

#[tokio::test]
async fn a_write_to_the_log_has_no_effect_even_if_its_error_is_ignored() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    stored(&store, "flight-UA1545", 1).await;
    let write_to_log = TrySql("DELETE FROM downlink_events");
    let doing = vec![Sql(TAKE), write_to_log, TryAppend(append("flight-UA1545", 1))];
    // Either the statement is refused, or the whole transaction is rolled back.
    let events = if transact(&store, doing).await.is_ok() { 2 } else { 1 };
    assert_eq!(all(&store).await.events.len(), events);
    assert!(store.verify().await.unwrap().is_sound());
}

/// SQLite rolls back silently, for example because of a trigger or a full disk.
#[tokio::test]
async fn nothing_runs_after_a_silent_rollback() {
    let full = "INSERT INTO photos VALUES (zeroblob(3000000))";
    let more = || TryAppend(append("flight-UA1545", 1));
    for (silent, appends) in [(SHUT, true), (full, true), (SHUT, false), (full, false)] {
        for end in 0..5 {
            let temp = TempLog::new();
            with_gates(&temp).await.close().await;
            let options = Options::new().with_max_size(1 << 20);
            let store = options.open(&temp.path).await.unwrap();
            let mut doing = vec![Sql(TAKE)];
            doing.extend(appends.then(flight));
            doing.push(TryEach([silent, TAKE]));
            match end {
                0 => {}
                1 => doing.push(TrySql(TAKE)),
                2 => doing.push(more()),
                3 => doing.push(TryEach([TAKE, TAKE])),
                _ => doing.extend([TrySql(TAKE), more(), TrySql(TAKE)]),
            }
            let failure = kind(transact(&store, doing).await);
            assert_eq!(
                failure,
                Some(ErrorKind::Backend),
                "the outcome is certain: nothing is stored"
            );
            there_are(&store, &temp, 0, 0).await;
        }
    }
}

#[tokio::test]
async fn a_repetition_is_rolled_back_and_returns_the_original() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let (first, other) = (append("flight-UA1545", 2), append("flight-AA1141", 1));
    take_gate(&store, first.clone()).await.unwrap();
    store.append(other.clone()).await.unwrap();
    for (repeated, from) in [(first, 1), (other, 3)] {
        match take_gate(&store, repeated).await.unwrap() {
            Transacted::Duplicate(original) => assert_eq!(original.first.get(), from),
            committed @ Transacted::Committed(_) => panic!("{committed:?}"),
        }
    }
    there_are(&store, &temp, 1, 3).await;
}

#[tokio::test]
async fn the_same_append_twice_within_one_transaction_is_stored_once() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    stored(&store, "flight-UA1545", 1).await;
    let twice = append("flight-UA1545", 2);
    let doing = vec![Do::Append(twice.clone()), Sql(TAKE), Do::Append(twice), flight()];
    assert_eq!(transact(&store, doing).await.unwrap(), Transacted::Committed(1));
    there_are(&store, &temp, 1, 4).await;
}

#[tokio::test]
async fn an_append_that_a_savepoint_rolls_back_is_not_committed() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let (open, back) = (|| Sql("SAVEPOINT mine"), || Sql("ROLLBACK TO mine"));
    let phantom = transact(&store, vec![open(), flight(), back(), Sql("RELEASE mine")]).await;
    assert_eq!(kind(phantom), Some(ErrorKind::Invalid));
    let swallowed = vec![flight(), open(), flight(), back(), TryAppend(append("s", 1)), Sql(TAKE)];
    assert_eq!(kind(transact(&store, swallowed).await), Some(ErrorKind::Invalid));
    // Rows alone may be rolled back.
    let rows = vec![flight(), open(), Sql(TAKE), back(), Sql(TAKE), flight()];
    assert_eq!(transact(&store, rows).await.unwrap(), Transacted::Committed(1));
    there_are(&store, &temp, 1, 2).await;
}

#[tokio::test]
async fn a_call_from_inside_is_refused_and_blocks_no_other_call() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let (own, through) = (store.clone(), hub.clone());
    let by_the_store = Call(Box::new(move || {
        async move { Ok(own.append(append("s", 1)).await.map(drop)?) }.boxed()
    }));
    let by_the_hub = Call(Box::new(move || {
        async move { Ok(through.append(append("s", 1)).await.map(drop)?) }.boxed()
    }));
    let own = store.clone();
    let by_another = Call(Box::new(move || {
        async move { take_gate(&own, append("s", 1)).await.map(drop) }.boxed()
    }));
    for nested in [by_the_store, by_the_hub, by_another] {
        let refused = transact(&store, vec![Sql(TAKE), flight(), nested]).await;
        assert_eq!(kind(refused), Some(ErrorKind::Invalid));
    }
    there_are(&store, &temp, 0, 0).await;
    hub.shutdown().await;
}

#[tokio::test]
async fn a_statement_that_never_ends_is_interrupted_at_the_deadline() {
    let temp = TempLog::new();
    let store = with_deadline(&temp, Duration::from_millis(50)).await;
    for doing in [Sql(ENDLESS), TrySql(ENDLESS)] {
        let late = transact(&store, vec![Sql(TAKE), flight(), doing, flight()]);
        let late =
            tokio::time::timeout(Duration::from_secs(30), late).await.expect("the call returns");
        let late = error(late);
        assert!(late.to_string().contains("longer than 50ms"), "{late}");
    }
    let store = {
        store.close().await;
        temp.open().await
    };
    there_are(&store, &temp, 0, 0).await;
}

/// After a panic of the application's code, neither its guard nor its deadline
/// applies to the appends that follow.
#[tokio::test]
async fn a_panic_leaves_no_guard_and_no_deadline() {
    let temp = TempLog::new();
    let deadline = Duration::from_millis(100);
    let store = with_deadline(&temp, deadline).await;
    let panics = || run(|| panic!("the gate fell off"));
    // A transaction that is rolled back, so that the statement for that is prepared.
    error(transact(&store, vec![Sql(TAKE), run(|| Err("no".into()))]).await);
    error(transact(&store, vec![Sql(TAKE), panics()]).await);
    tokio::time::sleep(deadline).await;
    stored(&store, "flight-UA1545", 1_000).await;
    assert_eq!((gates(&temp), all(&store).await.events.len()), (0, 1_000));
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_closure_that_blocks_is_reported_and_rolled_back_when_it_ends() {
    let temp = TempLog::new();
    let store = with_deadline(&temp, Duration::from_millis(50)).await;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let (is_blocking, blocked) = (Arc::new(AtomicBool::new(true)), store.clone());
    let blocks = Arc::clone(&is_blocking);
    let taken = tokio::spawn(async move {
        let block = run(move || {
            while blocks.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            Ok(())
        });
        transact(&blocked, vec![Sql(TAKE), flight(), block]).await
    });
    while !store.has_overdue_transaction() || !hub.has_overdue_transaction() {
        tokio::task::yield_now().await;
    }
    assert_eq!(all(&store).await.events.len(), 0, "reads are served");
    is_blocking.store(false, Ordering::Relaxed);
    assert_eq!(kind(taken.await.unwrap()), Some(ErrorKind::Unavailable));
    assert!(!store.has_overdue_transaction() && !hub.has_overdue_transaction());
    hub.shutdown().await;
}

#[tokio::test]
async fn transactions_and_appends_are_queued_together() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let appends = (0..40).map(|_| store.append(append("flight-UA1545", 2)));
    let takes = (0..10).map(|_| take_gate(&store, append("flight-UA1545", 1)));
    let (stored, outcomes) = futures::join!(join_all(appends), join_all(takes));
    assert!(stored.iter().all(Result::is_ok) && outcomes.iter().all(Result::is_ok));
    let versions: Vec<_> =
        all(&store).await.events.iter().map(|event| event.version().get()).collect();
    assert_eq!(versions, (1..=90).collect::<Vec<_>>());
    assert_eq!(gates(&temp), 10);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_transaction_is_committed_even_if_its_caller_is_dropped() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    let mut taking = take_gate(&store, append("flight-UA1545", 1)).boxed();
    assert!(poll!(&mut taking).is_pending());
    drop(taking);
    stored(&store, "flight-AA1141", 1).await;
    there_are(&store, &temp, 1, 2).await;
}

/// A projection that calls a function in `apply`.
struct Board<F>(F);

impl<F> fmt::Debug for Board<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}

#[async_trait]
impl<F> Projection for Board<F>
where
    F: Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync + 'static,
{
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "board"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, _: &mut Tx) -> Result<(), BoxError> {
        Ok(())
    }

    async fn apply(&self, _: &[Event], _: &mut Tx) -> Result<(), BoxError> {
        (self.0)().await
    }
}

async fn step(
    store: &Store,
    apply: impl Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync + 'static,
) -> downlink::Result<StepOutcome> {
    let from = store.checkpoint(&ProjectionId::new("board", 1).unwrap()).await.unwrap();
    let page = all(store).await;
    let step = Step::new(from, page.head, page.events);
    let board: Arc<dyn Projection<Tx = Tx>> = Arc::new(Board(apply));
    tokio::time::timeout(Duration::from_secs(30), store.step(&board, step))
        .await
        .expect("the call returns")
}

/// A regression test: this once blocked the writer forever.
#[tokio::test]
async fn a_projection_that_appends_is_refused_and_blocks_no_other_call() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    stored(&store, "flight-UA1545", 1).await;
    let own = store.clone();
    let stepped = step(&store, move || {
        let own = own.clone();
        async move { Ok(own.append(append("s", 1)).await.map(drop)?) }.boxed()
    });
    match stepped.await.unwrap() {
        StepOutcome::Failed(error) => {
            assert!(error.to_string().contains("wait forever"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    there_are(&store, &temp, 0, 1).await;
}

#[tokio::test]
async fn a_projection_that_panics_leaves_no_guard() {
    let temp = TempLog::new();
    let store = with_gates(&temp).await;
    stored(&store, "flight-UA1545", 1).await;
    let panicked = step(&store, || async { panic!("the board fell off") }.boxed()).await;
    assert!(matches!(panicked.unwrap(), StepOutcome::Failed(_)));
    there_are(&store, &temp, 0, 1).await;
}

/// The deadline applies only to transactions.
#[tokio::test]
async fn a_projection_may_take_longer_than_a_transaction() {
    let temp = TempLog::new();
    let deadline = Duration::from_millis(20);
    let store = with_deadline(&temp, deadline).await;
    stored(&store, "flight-UA1545", 1).await;
    let slow = move || {
        std::thread::sleep(2 * deadline);
        async { Ok(()) }.boxed()
    };
    let stepped = step(&store, slow).await.unwrap();
    assert!(matches!(stepped, StepOutcome::Applied { .. }), "{stepped:?}");
}
