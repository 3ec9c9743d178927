use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use futures::FutureExt;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{Fault, State, Step};
use crate::commit::{CommitNotice, Commits};
use crate::cursor::Cursor;
use crate::event::{Event, NewEvent, Timestamp};
use crate::id::{Position, Version};

over_both_drivers! {
    what_is_stored_is_told_before_it_is_answered
    each_commit_is_told_to_follow_the_one_before
    what_failed_is_not_told
    what_is_uncertain_is_a_hint
    what_is_settled_is_hinted_at_again
    a_clock_that_was_set_back_turns_no_times_round
}

fn told(commits: &mut Commits) -> Vec<Vec<String>> {
    let mut told = Vec::new();
    while let Some(notice) = commits.try_next() {
        told.push(match notice {
            CommitNotice::Committed(commit) => {
                commit.events.iter().map(|event| event.event_type().to_string()).collect()
            }
            CommitNotice::Hint => vec!["?".to_owned()],
        });
    }
    told
}

/// Notes, at the moment when it is woken, what was told.
struct Noting {
    commits: Mutex<Commits>,
    told: OnceLock<Vec<Vec<String>>>,
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.told.get_or_init(|| told(&mut self.commits.lock().unwrap()));
    }
}

async fn what_is_stored_is_told_before_it_is_answered<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let commits = Mutex::new(bench.writer.commits());
    let noting = Arc::new(Noting { commits, told: OnceLock::new() });
    let mut answer = bench.hold().await;
    let waker = Waker::from(Arc::clone(&noting));
    assert!(answer.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    bench.script.release();
    bench.script.until(|_| noting.told.get().is_some()).await;
    assert_eq!(noting.told.get().unwrap(), &[["First"]]);
}

async fn each_commit_is_told_to_follow_the_one_before<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    let mut from = Cursor::START;
    for _ in 0..10 {
        let appended = bench.offer(one("A")).await.unwrap();
        let Some(CommitNotice::Committed(commit)) = commits.try_next() else {
            panic!("an append was answered before it was told")
        };
        assert_eq!((commit.from, commit.events[0].cursor()), (from, appended.cursor));
        from = appended.cursor;
    }
    assert!(told(&mut commits).is_empty());
}

async fn what_failed_is_not_told<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(Step::Commit, [Fault::Nothing, Fault::Nothing, Fault::Fails]);
    for outcome in bench.commit_together([one("A"), one("Poison"), one("B")]).await {
        drop(outcome);
    }
    // The first half is stored; the second is divided, and then its commit failed.
    assert_eq!(told(&mut commits).concat(), bench.stored());
    assert!(bench.offer(one("C")).await.is_ok());
    assert_eq!(told(&mut commits), [["C"]]);
}

async fn what_is_uncertain_is_a_hint<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(Step::Commit, [Fault::IsUnknown { stored: true }]);
    bench.offer(one("A")).await.unwrap();
    assert_eq!(told(&mut commits), [["?"]], "what it stored was told by the hint alone");
    bench.script.faults(Step::Commit, [Fault::IsUnknown { stored: false }]);
    bench.offer(one("B")).await.unwrap();
    let told = told(&mut commits).concat();
    assert!(told.contains(&"?".to_owned()), "{told:?}");
}

async fn what_is_settled_is_hinted_at_again<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.script.faults(Step::Commit, [Fault::IsUnknown { stored: true }]);
    bench.script.faults(Step::Begin, [Fault::Nothing, Fault::Holds]);
    let answer = bench.offer(one("A"));
    // Between the commit and the transaction that finds out.
    bench.script.until(State::is_held).await;
    assert_eq!(told(&mut commits), [["?"]]);
    bench.script.release();
    answer.await.unwrap();
    assert_eq!(told(&mut commits), [["?"]], "now it is certain to be seen");
}

async fn a_clock_that_was_set_back_turns_no_times_round<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    // Of a log that was written while the clock was years ahead.
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
