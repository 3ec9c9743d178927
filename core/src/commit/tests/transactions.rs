use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::bench::{Bench, NeverRead, in_time, one};
use super::over_both_drivers;
use super::scripted::{DriverStep, Fault, Scripted};
use crate::commit::{CommitNotice, Ending, Transacted, Transaction, Writer, WriterOptions};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, NewEvent};
use crate::filter::Filter;
use crate::limits;
use crate::store::{Append, Appended, Check, Expected};

over_both_drivers! {
    rows_and_events_are_stored_together
    events_are_reported_once_after_the_commit
    a_failed_append_prevents_the_commit
    fail_prevents_the_commit
    nothing_runs_in_a_broken_transaction
    a_repetition_within_one_transaction_is_a_duplicate
    a_repetition_of_earlier_events_rolls_back_and_returns_the_original
    events_stored_partly_before_and_partly_within_are_refused
    later_appends_see_earlier_ones
    the_bytes_of_a_transaction_are_bounded
    a_call_from_inside_is_refused
    a_transaction_that_panics_stores_nothing
    an_uncertain_commit_is_resolved_by_ids
    an_uncertain_commit_without_events_has_an_unknown_outcome
}

type Tx<'t, const BLOCKING: bool> = Transaction<'t, Scripted<BLOCKING>>;

/// Runs a transaction that writes a note, makes these appends one after the
/// other, and commits whatever their outcomes.
async fn append_all<const BLOCKING: bool>(
    bench: &Bench<BLOCKING>,
    appends: impl IntoIterator<Item = Append>,
) -> Result<Transacted<Vec<Result<Appended>>>> {
    let appends: Vec<_> = appends.into_iter().collect();
    let run = bench.writer.transact(0, |mut tx| {
        async move {
            tx.tx().await?.push("note");
            let mut outcomes = Vec::new();
            for append in appends {
                outcomes.push(tx.append(append).await);
            }
            Ok(Ending::Commit(outcomes))
        }
        .boxed()
    });
    run.await
}

fn committed<T>(outcome: Result<Transacted<T>>) -> T {
    match outcome.expect("a transaction") {
        Transacted::Committed(value) => value,
        Transacted::Duplicate(original) => panic!("{original:?}"),
    }
}

fn kind<T: std::fmt::Debug>(outcome: Result<Transacted<T>>) -> ErrorKind {
    outcome.expect_err("a failure").kind()
}

/// Checks that nothing was stored and no transaction is left open.
async fn nothing_is_left<const BLOCKING: bool>(bench: &Bench<BLOCKING>) {
    assert!(bench.stored().is_empty(), "{:?}", bench.stored());
    assert!(bench.script.state().notes.is_empty());
    bench.submit(one("Next")).await.expect("the writer continues");
    bench.script.state().events.clear();
}

fn to(stream: &str, expected: Expected) -> Append {
    Append::to(stream, expected, [NewEvent::json("A", "{}").unwrap()]).unwrap()
}

async fn rows_and_events_are_stored_together<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let outcomes = committed(append_all(&bench, [one("A"), one("B")]).await);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(bench.script.state().commits, [["A", "B", "note"]]);
}

async fn events_are_reported_once_after_the_commit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.submit(one("First")).await.unwrap();
    let (mut commits, from) = (bench.writer.commits(), bench.script.state().events[0].cursor());
    assert!(append_all(&bench, [one("A"), to("s", Expected::Exists)]).await.is_err());
    bench.script.faults(DriverStep::Commit, [Fault::Fails]);
    assert!(append_all(&bench, [one("A")]).await.is_err());
    assert!(commits.try_next().is_none(), "failed appends are not reported");
    committed(append_all(&bench, [one("A"), one("B")]).await);
    let Some(CommitNotice::Committed(commit)) = commits.try_next() else {
        panic!("the commit is reported")
    };
    let types: Vec<_> = commit.events.iter().map(Event::event_type).collect();
    assert_eq!((commit.from, types.len()), (from, 2));
    assert!(commits.try_next().is_none(), "once");
}

async fn a_failed_append_prevents_the_commit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let conflict = || to("s", Expected::Exists);
    assert_eq!(kind(append_all(&bench, [conflict()]).await), ErrorKind::Conflict);
    assert_eq!(kind(append_all(&bench, [conflict(), one("A")]).await), ErrorKind::Conflict);
    assert_eq!(kind(append_all(&bench, [Append::default()]).await), ErrorKind::Invalid);
    assert_eq!(kind(append_all(&bench, [one("A"), one("Poison")]).await), ErrorKind::Backend);
    bench.script.faults(DriverStep::Facts, [Fault::Fails]);
    assert_eq!(kind(append_all(&bench, [one("A"), one("B")]).await), ErrorKind::Backend);
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn a_dropped_append_prevents_the_commit() {
    let bench = Bench::<false>::start().await;
    for step in [DriverStep::Facts, DriverStep::Insert] {
        bench.script.faults(step, [Fault::Hangs { stored: false }]);
        let run = bench.writer.transact(0, |mut tx| {
            async move {
                assert!(tx.append(one("A")).now_or_never().is_none(), "the append hangs");
                Ok(Ending::Commit(()))
            }
            .boxed()
        });
        assert_eq!(kind(run.await), ErrorKind::Invalid, "{step:?}");
        nothing_is_left(&bench).await;
    }
}

async fn fail_prevents_the_commit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let run = bench.writer.transact(0, |mut tx: Tx<'_, BLOCKING>| {
        async move {
            tx.append(one("A")).await?;
            tx.fail(Error::new(ErrorKind::Corrupt, "the job has broken the transaction"));
            assert!(tx.append(one("B")).await.is_err(), "no further appends are possible");
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    assert_eq!(kind(run.await), ErrorKind::Corrupt);
    nothing_is_left(&bench).await;
}

/// The driver checks the transaction before each append and before the commit.
async fn nothing_runs_in_a_broken_transaction<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    for sound in 0..3 {
        let faults = std::iter::repeat_n(Fault::Nothing, sound).chain([Fault::Fails]);
        bench.script.faults(DriverStep::Check, faults);
        let outcome = append_all(&bench, [one("A"), one("B")]).await;
        assert_eq!(kind(outcome), ErrorKind::Backend, "after {sound}");
        nothing_is_left(&bench).await;
    }
}

async fn a_repetition_within_one_transaction_is_a_duplicate<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let twice = one("A");
    let outcomes = committed(append_all(&bench, [twice.clone(), one("B"), twice]).await);
    let [first, _, second] = &outcomes[..] else { panic!() };
    let (first, second) = (first.as_ref().unwrap(), second.as_ref().unwrap());
    assert_eq!((first.cursor, second.cursor), (first.cursor, first.cursor));
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(bench.script.state().commits, [["A", "B", "note"]]);
}

async fn a_repetition_of_earlier_events_rolls_back_and_returns_the_original<
    const BLOCKING: bool,
>() {
    let bench = Bench::<BLOCKING>::start().await;
    let said = one("A");
    let original = bench.submit(said.clone()).await.unwrap();
    match append_all(&bench, [one("B"), said]).await.unwrap() {
        Transacted::Duplicate(found) => assert_eq!(found.cursor, original.cursor),
        committed @ Transacted::Committed(_) => panic!("{committed:?}"),
    }
    assert_eq!(bench.script.state().commits, [["A"]]);
    bench.submit(one("C")).await.expect("the writer continues");
}

async fn events_stored_partly_before_and_partly_within_are_refused<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let (old, new) = (one("A"), one("B"));
    bench.submit(old.clone()).await.unwrap();
    let both = Append { writes: [old.writes, new.writes.clone()].concat(), checks: Vec::new() };
    let outcome = append_all(&bench, [new, both]).await;
    assert_eq!(kind(outcome), ErrorKind::IdReused);
    assert_eq!(bench.stored(), ["A"]);
}

async fn later_appends_see_earlier_ones<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.submit(one("A")).await.unwrap();
    let seen = bench.script.state().events[0].cursor();
    let nothing_after = |cursor| Check::NothingAfter(Filter::everything(), cursor);
    let outcomes = committed(
        append_all(
            &bench,
            [
                to("s", Expected::NoStream).with_check(nothing_after(seen)),
                to("s", Expected::Exists),
            ],
        )
        .await,
    );
    let versions: Vec<_> =
        outcomes.iter().flatten().map(|done| done.writes[0].last.get()).collect();
    assert_eq!(versions, [1, 2]);
    let first = || to("t", Expected::Any);
    for refused in [to("t", Expected::NoStream), one("B").with_check(nothing_after(seen))] {
        assert_eq!(kind(append_all(&bench, [first(), refused]).await), ErrorKind::Conflict);
    }
    // A boundary at an event of the transaction itself.
    let run = bench.writer.transact(0, move |mut tx: Tx<'_, BLOCKING>| {
        async move {
            let own: Cursor = tx.append(to("t", Expected::Any)).await?.cursor;
            tx.append(to("u", Expected::Any).with_check(nothing_after(own))).await?;
            let refused = to("u", Expected::Any).with_check(nothing_after(own));
            assert_eq!(tx.append(refused).await.unwrap_err().kind(), ErrorKind::Conflict);
            Ok(Ending::RollBack(()))
        }
        .boxed()
    });
    committed(run.await);
}

async fn the_bytes_of_a_transaction_are_bounded<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let payload = format!("\"{}\"", "x".repeat(limits::MAX_PAYLOAD_BYTES - 1_000));
    let large = |events: usize| {
        let event = |_| NewEvent::json("PictureTaken", payload.clone()).unwrap();
        Append::to("s", Expected::Any, (0..events).map(event).collect::<Vec<_>>()).unwrap()
    };
    let most = limits::MAX_APPEND_BYTES / limits::MAX_PAYLOAD_BYTES;
    let error = append_all(&bench, [large(most), large(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    nothing_is_left(&bench).await;
    let twice = large(1);
    committed(append_all(&bench, [large(most - 1), twice.clone()]).await);
    assert_eq!(bench.stored().len(), most);
}

type Called<'a> = BoxFuture<'a, Result<()>>;

/// All calls that would wait for the writer.
fn calls<const BLOCKING: bool>(writer: &Writer<Scripted<BLOCKING>>) -> [Called<'_>; 3] {
    [
        async move { writer.append(one("A"), &NeverRead).await.map(drop) }.boxed(),
        async move { writer.run(0, |_| async { Ok(Ending::Commit(())) }.boxed()).await }.boxed(),
        async move {
            let run = writer.transact(0, |_| async { Ok(Ending::Commit(())) }.boxed());
            run.await.map(drop)
        }
        .boxed(),
    ]
}

fn all_are_refused<const BLOCKING: bool>(writer: &Writer<Scripted<BLOCKING>>) {
    for call in calls(writer) {
        let refused = call.now_or_never().expect("refused at once").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
}

async fn a_call_from_inside_is_refused<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let writer = Arc::clone(&bench.writer);
    let inside = bench.writer.transact(0, |_| {
        async move {
            all_are_refused(&writer);
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    committed(inside.await);
    let writer = Arc::clone(&bench.writer);
    let step = bench.writer.run(0, |_| {
        async move {
            all_are_refused(&writer);
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    step.await.unwrap();
    // The mark applies only to this writer, and ends with the job.
    for call in calls(&bench.writer) {
        call.await.unwrap();
    }
    let other = Arc::clone(&Bench::<BLOCKING>::start().await.writer);
    let inside = bench.writer.transact(0, |_| {
        async move {
            let _ = other.append(one("B"), &NeverRead).now_or_never();
            Ok(Ending::Commit(other))
        }
        .boxed()
    });
    let other = committed(inside.await);
    other.append(one("C"), &NeverRead).await.unwrap();
}

/// Closing the writer from a job does not deadlock.
#[tokio::test]
async fn a_job_may_close_its_writer() {
    let bench = Bench::<false>::start().await;
    let writer = Arc::clone(&bench.writer);
    let run = bench.writer.transact(0, |_| {
        async move {
            writer.shutdown().await;
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    committed(in_time(run).await);
    in_time(bench.writer.shutdown()).await;
}

async fn a_transaction_that_panics_stores_nothing<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let run = bench.writer.transact(0, |mut tx: Tx<'_, BLOCKING>| {
        async move {
            tx.tx().await?.push("note");
            tx.append(one("A")).await?;
            assert!(tx.append(one("B")).await.is_err(), "a bad closure");
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    let error = run.await.unwrap_err();
    assert!(error.to_string().contains("a bad closure"), "{error}");
    nothing_is_left(&bench).await;
    assert_eq!(kind(append_all(&bench, [one("A"), one("Bomb")]).await), ErrorKind::Backend);
    nothing_is_left(&bench).await;
}

async fn an_uncertain_commit_is_resolved_by_ids<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    for stored in [true, false] {
        for fault in [Fault::IsUnknown { stored }, Fault::Panics { stored }] {
            let mut commits = bench.writer.commits();
            bench.script.faults(DriverStep::Commit, [fault]);
            let outcome = append_all(&bench, [one("A"), one("B")]).await;
            assert_eq!(outcome.is_ok(), stored, "{fault:?}: {outcome:?}");
            assert!(matches!(commits.try_next(), Some(CommitNotice::Hint)), "{fault:?}");
        }
    }
    assert_eq!(bench.stored(), ["A", "B", "A", "B"]);
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: true }]);
    bench.script.faults(DriverStep::Begin, [Fault::Nothing, Fault::Fails]);
    let outcome = append_all(&bench, [one("A")]).await;
    assert_eq!(kind(outcome), ErrorKind::OutcomeUnknown, "the outcome could not be found out");
}

async fn an_uncertain_commit_without_events_has_an_unknown_outcome<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: true }]);
    assert_eq!(kind(append_all(&bench, []).await), ErrorKind::OutcomeUnknown);
}

const SECOND: Duration = Duration::from_secs(1);

fn with_deadline(deadline: Duration) -> WriterOptions {
    WriterOptions::new().with_transaction_deadline(deadline)
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_waits_forever_is_dropped_at_its_deadline() {
    let bench = Bench::<false>::with(with_deadline(SECOND)).await;
    let writer = Arc::clone(&bench.writer);
    let waits = bench.writer.transact(0, |mut tx| {
        async move {
            tx.append(one("A")).await?;
            // The mark applies to this task: the call from the other task is not refused, and
            // waits.
            let other = tokio::spawn(async move { writer.append(one("B"), &NeverRead).await });
            other.await.expect("a task").map(|_| Ending::Commit(()))
        }
        .boxed()
    });
    let error = in_time(waits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("in a task that it has spawned"), "{error}");
    bench.submit(one("C")).await.unwrap();
    assert_eq!(bench.stored(), ["B", "C"], "the other append was made afterwards");
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_transaction_have_no_deadline() {
    let bench = Bench::<false>::with(with_deadline(SECOND)).await;
    let slow = bench.writer.run(0, |_| {
        async {
            tokio::time::sleep(30 * SECOND).await;
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    in_time(slow).await.expect("a step without a deadline");
}

/// The future of a blocking driver cannot be dropped: a job that ends too late
/// is rolled back.
#[tokio::test]
async fn a_blocking_transaction_is_stuck_and_rolled_back_when_it_ends() {
    let deadline = Duration::from_millis(20);
    let bench = Bench::<true>::with(with_deadline(deadline)).await;
    let (is_blocking, until) = (Arc::new(AtomicBool::new(true)), Instant::now() + 2 * deadline);
    let blocks = Arc::clone(&is_blocking);
    let run = bench.writer.transact(0, move |mut tx| {
        async move {
            tx.append(one("A")).await?;
            while blocks.load(Ordering::Relaxed) || Instant::now() < until {
                std::thread::yield_now();
            }
            Ok(Ending::Commit(()))
        }
        .boxed()
    });
    let watched = async {
        while !bench.writer.has_overdue_transaction() {
            tokio::task::yield_now().await;
        }
        assert!(bench.writer.commits().has_overdue_transaction());
        is_blocking.store(false, Ordering::Relaxed);
    };
    let (outcome, ()) = in_time(futures::future::join(run, watched)).await;
    assert_eq!(kind(outcome), ErrorKind::Unavailable);
    assert!(!bench.writer.has_overdue_transaction(), "the writer continues");
    nothing_is_left(&bench).await;
}
