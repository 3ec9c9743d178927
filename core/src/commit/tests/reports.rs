use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use futures::FutureExt;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{DriverStep, Fault, State};
use crate::commit::{CommitNotice, Commits};
use crate::cursor::Cursor;
use crate::event::{Event, NewEvent, Timestamp};
use crate::id::{Position, Version};

over_both_drivers! {
    events_are_reported_before_the_append_returns
    each_reported_commit_follows_the_one_before
    failed_appends_are_not_reported
    an_uncertain_commit_is_reported_by_a_hint
    a_resolved_commit_is_reported_by_a_second_hint
    recorded_times_never_decrease_if_the_clock_is_set_back
}

fn reported(commits: &mut Commits) -> Vec<Vec<String>> {
    let mut reported = Vec::new();
    while let Some(notice) = commits.try_next() {
        reported.push(match notice {
            CommitNotice::Committed(commit) => {
                commit.events.iter().map(|event| event.event_type().to_string()).collect()
            }
            CommitNotice::Hint => vec!["?".to_owned()],
        });
    }
    reported
}

/// Records what has been reported when it is woken.
struct RecordOnWake {
    commits: Mutex<Commits>,
    reported: OnceLock<Vec<Vec<String>>>,
}

impl Wake for RecordOnWake {
    fn wake(self: Arc<Self>) {
        self.reported.get_or_init(|| reported(&mut self.commits.lock().unwrap()));
    }
}

async fn events_are_reported_before_the_append_returns<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let commits = Mutex::new(bench.writer.commits());
    let recorder = Arc::new(RecordOnWake { commits, reported: OnceLock::new() });
    let mut answer = bench.hold().await;
    let waker = Waker::from(Arc::clone(&recorder));
    assert!(answer.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    bench.script.release();
    bench.script.until(|_| recorder.reported.get().is_some()).await;
    assert_eq!(recorder.reported.get().unwrap(), &[["First"]]);
}

async fn each_reported_commit_follows_the_one_before<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    let mut from = Cursor::START;
    for _ in 0..10 {
        let appended = bench.submit(one("A")).await.unwrap();
        let Some(CommitNotice::Committed(commit)) = commits.try_next() else {
            panic!("an append returned before it was reported")
        };
        assert_eq!((commit.from, commit.events[0].cursor()), (from, appended.cursor));
        from = appended.cursor;
    }
    assert!(reported(&mut commits).is_empty());
}

async fn failed_appends_are_not_reported<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(DriverStep::Commit, [Fault::Nothing, Fault::Nothing, Fault::Fails]);
    for outcome in bench.commit_together([one("A"), one("Poison"), one("B")]).await {
        drop(outcome);
    }
    // The first half is stored. The second is divided, and then its commit fails.
    assert_eq!(reported(&mut commits).concat(), bench.stored());
    assert!(bench.submit(one("C")).await.is_ok());
    assert_eq!(reported(&mut commits), [["C"]]);
}

async fn an_uncertain_commit_is_reported_by_a_hint<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: true }]);
    bench.submit(one("A")).await.unwrap();
    assert_eq!(reported(&mut commits), [["?"]], "only the hint reports what it has stored");
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: false }]);
    bench.submit(one("B")).await.unwrap();
    let reported = reported(&mut commits).concat();
    assert!(reported.contains(&"?".to_owned()), "{reported:?}");
}

async fn a_resolved_commit_is_reported_by_a_second_hint<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: true }]);
    bench.script.faults(DriverStep::Begin, [Fault::Nothing, Fault::Holds]);
    let answer = bench.submit(one("A"));
    // Between the commit and the transaction that resolves it.
    bench.script.until(State::is_held).await;
    assert_eq!(reported(&mut commits), [["?"]]);
    bench.script.release();
    answer.await.unwrap();
    assert_eq!(reported(&mut commits), [["?"]], "now the events are certainly visible");
}

async fn recorded_times_never_decrease_if_the_clock_is_set_back<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    // The log was written while the clock was years ahead.
    let ahead = Timestamp::from_micros(Timestamp::now().as_micros() * 2);
    let content = NewEvent::json("FlightScheduled", "{}").unwrap();
    let stream = "flight-UA1545".try_into().unwrap();
    let first = Position::ZERO.next();
    bench.script.state().events.push(Event::new(first, stream, Version::FIRST, ahead, content));
    for outcome in bench.commit_together([one("A"), one("B")]).await {
        outcome.unwrap();
    }
    let times: Vec<_> = bench.script.state().events.iter().map(Event::recorded_at).collect();
    assert!(times.iter().all(|time| *time == ahead), "{times:?}");
}
