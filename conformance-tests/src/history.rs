//! Records concurrent appends, and checks that some order explains all
//! outcomes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use downlink::error::FailedCheck;
use downlink::{Append, ErrorKind, Event, EventStore, NewEvent, Position, StreamId, Version};

/// Records when appends are called and answered, and with what outcome.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

#[derive(Debug)]
struct Call {
    append: Append,
    called: u64,
    answered: u64,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Stored { first: Position, last: Position },
    Refused(Vec<FailedCheck>),
}

impl Recorder {
    /// Makes an append to one stream and records its outcome. Returns the last
    /// version of the stream that the caller knows.
    ///
    /// # Panics
    ///
    /// Panics at an error that is not a conflict.
    pub async fn append(
        &self,
        store: &dyn EventStore,
        append: Append,
        known: Option<Version>,
    ) -> Option<Version> {
        let called = self.tick();
        let result = store.append(append.clone()).await;
        let answered = self.tick();
        let (outcome, version) = match result {
            Ok(appended) => (
                Outcome::Stored { first: appended.first, last: appended.last() },
                Some(appended.writes[0].last),
            ),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "not a conflict: {error}");
                let actual_version = match error.failed_checks() {
                    [FailedCheck::Stream { actual, .. }, ..] => *actual,
                    _ => known,
                };
                (Outcome::Refused(error.failed_checks().to_vec()), actual_version)
            }
        };
        let call = Call { append, called, answered, outcome };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        version
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Compares everything that was recorded with the resulting log. The log is
    /// the order of the appends that were stored; a refusal has to be true at
    /// some moment between call and answer.
    ///
    /// # Panics
    ///
    /// Panics if there is no such order.
    pub fn verify(&self, log: &[Event]) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for call in calls.iter() {
            let (from, to) = window(&calls, call, log);
            match &call.outcome {
                Outcome::Stored { first, last } => stored(call, log, *first, *last, from, to),
                Outcome::Refused(failed) => refused(call, log, failed, from, to),
            }
        }
        let acknowledged: usize = calls
            .iter()
            .filter(|call| matches!(call.outcome, Outcome::Stored { .. }))
            .map(|call| call.append.events().count())
            .sum();
        assert_eq!(
            log.len(),
            acknowledged,
            "the log does not have exactly the acknowledged events"
        );
    }
}

/// The least number of events that the log had when the call was made, and the
/// most that it had when the call was answered.
fn window(calls: &[Call], call: &Call, log: &[Event]) -> (usize, usize) {
    let up_to = |position: Position| log.partition_point(|event| event.position() <= position);
    let stored = calls.iter().filter_map(|other| match other.outcome {
        Outcome::Stored { first, last } => Some((other, first, last)),
        Outcome::Refused(_) => None,
    });
    let (mut from, mut to) = (0, log.len());
    for (other, first, last) in stored {
        if other.answered < call.called {
            from = from.max(up_to(last));
        }
        if other.called > call.answered {
            to = to.min(up_to(first).saturating_sub(1));
        }
    }
    (from, to)
}

fn stored(call: &Call, log: &[Event], first: Position, last: Position, from: usize, to: usize) {
    let begin = log.partition_point(|event| event.position() < first);
    let end = log.partition_point(|event| event.position() <= last);
    assert!(
        from <= begin && end <= to,
        "an append got positions that are not between those of the appends that were answered \
         before it began and those that began after it was answered"
    );
    let offered: Vec<_> = call.append.events().map(NewEvent::id).collect();
    let found: Vec<_> = log[begin..end].iter().map(Event::id).collect();
    assert_eq!(
        found, offered,
        "the events of an acknowledged append are not at the positions it returned"
    );
    for write in &call.append.writes {
        let version = version_in(&log[..begin], &write.stream);
        assert!(
            write.expected.holds(version),
            "an append succeeded that expected stream '{}' {} when it was at {version:?}: the \
             check and the insert are not one transaction",
            write.stream,
            write.expected
        );
    }
}

fn refused(call: &Call, log: &[Event], failed: &[FailedCheck], from: usize, to: usize) {
    let was_true = |check: &FailedCheck| match check {
        FailedCheck::Stream { stream, actual, .. } => {
            (from..=to).any(|length| version_in(&log[..length], stream) == *actual)
        }
        _ => true,
    };
    assert!(
        !failed.is_empty() && failed.iter().all(was_true),
        "an append was refused for a reason that was not true at any moment between call and \
         answer: {failed:?} for {:?}",
        call.append
    );
}

fn version_in(log: &[Event], stream: &StreamId) -> Option<Version> {
    log.iter().rev().find(|event| event.stream() == stream).map(Event::version)
}
