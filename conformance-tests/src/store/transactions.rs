use std::sync::Arc;
use std::time::Duration;

use downlink::commit::CommitNotice;
use downlink::{Event, Expected};
use tokio::time::timeout;

use crate::fixture::{TransactionStep, TransactionalFixture};
use crate::sample::{append, log};
use crate::tasks;

fn row(name: &str) -> TransactionStep {
    TransactionStep::InsertRow(name.into())
}

/// **Law.** Rows of an application and appended events are stored together or
/// not at all. After an error, a panic or a conflict neither is stored, also if
/// the application ignores the conflict.
pub async fn rows_and_events_are_stored_together(fixture: &dyn TransactionalFixture) {
    let (store, application) = fixture.open().await.expect("a fresh store");
    store.append(append("taken", Expected::NoStream, 1)).await.expect("an append");
    let new = || TransactionStep::Append(append("flight", Expected::Any, 2));
    let conflict = || append("taken", Expected::NoStream, 1);
    for (what, steps) in [
        ("an error", vec![row("a"), new(), TransactionStep::Fail]),
        ("an error", vec![new(), row("a"), TransactionStep::Fail]),
        ("a panic", vec![row("a"), new(), TransactionStep::Panic]),
        ("a conflict", vec![row("a"), new(), TransactionStep::Append(conflict())]),
        (
            "a conflict that was ignored",
            vec![row("a"), new(), TransactionStep::AppendIgnoringErrors(conflict())],
        ),
        (
            "a conflict that was ignored",
            vec![TransactionStep::AppendIgnoringErrors(conflict()), row("a"), new()],
        ),
    ] {
        let outcome = application.transact(steps).await;
        assert!(
            outcome.is_err(),
            "a transaction with {what} was acknowledged: return the error and roll back"
        );
        let rows = application.rows().await.expect("the rows");
        assert!(
            rows.is_empty(),
            "after {what} there are rows {rows:?}: store them in the transaction of the append"
        );
        let events = log(&*store).await.len();
        assert_eq!(
            events, 1,
            "after {what} there are {events} events instead of 1: append in the transaction of the \
             rows"
        );
    }
    let both = application.transact(vec![row("a"), new(), row("b")]).await.expect("both");
    assert!(!both, "a new transaction was reported as a repeat");
    assert_eq!(application.rows().await.expect("the rows"), ["a", "b"]);
    assert_eq!(log(&*store).await.len(), 3);
}

/// **Law.** A transaction that appends what was stored before is a repeat: it
/// leaves no rows, and reports that it was a repeat.
pub async fn a_repeated_transaction_leaves_nothing(fixture: &dyn TransactionalFixture) {
    let (store, application) = fixture.open().await.expect("a fresh store");
    let offered = append("flight", Expected::NoStream, 2);
    let steps = |name: &str| vec![TransactionStep::Append(offered.clone()), row(name)];
    assert!(!application.transact(steps("first")).await.expect("the first time"));
    for name in ["second", "third"] {
        let is_repeat = application.transact(steps(name)).await.expect("the original");
        assert!(is_repeat, "a repeat was stored again");
        let rows = application.rows().await.expect("the rows");
        assert_eq!(rows, ["first"], "a repeat has left its rows: roll it back");
    }
    assert_eq!(log(&*store).await.len(), 2, "its events have to be stored once");
}

/// **Law.** Transactions and appends have one order. Of those that race for a
/// stream exactly one wins, and its row is stored with it.
pub async fn racing_transactions_have_an_order(fixture: &dyn TransactionalFixture) {
    let (store, application) = fixture.open().await.expect("a fresh store");
    let mut racing = Vec::new();
    for number in 0..24 {
        let (store, application) = (Arc::clone(&store), Arc::clone(&application));
        let stream = format!("gate-{}", number % 4);
        racing.push(tokio::spawn(async move {
            let taken = append(&stream, Expected::NoStream, 2);
            if number % 8 == 7 {
                return store.append(taken).await.is_ok().then_some((stream, false));
            }
            let steps = vec![row(&format!("{stream}/{number}")), TransactionStep::Append(taken)];
            application.transact(steps).await.is_ok().then_some((stream, true))
        }));
    }
    let won: Vec<_> = tasks::join(racing).await.into_iter().flatten().collect();
    let mut streams: Vec<_> = won.iter().map(|(stream, _)| stream.clone()).collect();
    streams.sort_unstable();
    assert_eq!(
        streams,
        ["gate-0", "gate-1", "gate-2", "gate-3"],
        "of those that expect no stream, one has to win each: check versions and store rows in one \
         transaction"
    );
    let rows = application.rows().await.expect("the rows");
    let with_rows = won.iter().filter(|(_, has_row)| *has_row).count();
    assert_eq!(
        rows.len(),
        with_rows,
        "the rows are not those of the winners ({rows:?}): check versions and store rows in one \
         transaction"
    );
    assert_eq!(log(&*store).await.len(), 8, "the log has to have each winner's two events");
}

/// **Law.** What a transaction stores is notified once, after all of it is
/// stored. A failed transaction is not notified.
pub async fn a_transaction_is_notified_after_its_commit(fixture: &dyn TransactionalFixture) {
    let (store, application) = fixture.open().await.expect("a fresh store");
    let mut commits = store.commits().expect("a store whose `commits` is `Some`");
    let append = |name: &str| TransactionStep::Append(append(name, Expected::Any, 1));
    let failed = application.transact(vec![append("a"), row("a"), TransactionStep::Fail]).await;
    assert!(failed.is_err(), "a transaction with an error was acknowledged");
    let reader = Arc::clone(&application);
    let told = tokio::spawn(async move {
        let mut told: Vec<Event> = Vec::new();
        while told.len() < 2 {
            match timeout(Duration::from_secs(30), commits.next()).await {
                Ok(Some(CommitNotice::Committed(commit))) => {
                    let rows = reader.rows().await.expect("the rows");
                    told.extend(commit.events.iter().cloned());
                    assert!(
                        !rows.is_empty(),
                        "a notice came before the rows of its transaction were stored"
                    );
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        told
    });
    let steps: Vec<_> = ["b", "c"].map(append).into_iter().chain([row("b")]).collect();
    application.transact(steps).await.expect("both");
    let told = told.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    assert_eq!(
        told.iter().map(|event| event.stream().as_str()).collect::<Vec<_>>(),
        ["b", "c"],
        "the notices do not have the events that were stored"
    );
    assert_eq!(log(&*store).await, told);
}
