use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::bench::{Bench, NeverRead, one};
use super::over_both_drivers;
use super::scripted::Scripted;
use crate::commit::WriterOptions;
use crate::commit::queue::Queue;
use crate::cursor::Cursor;
use crate::error::ErrorKind;
use crate::event::NewEvent;
use crate::filter::Filter;
use crate::store::{Append, Check, Expected};

over_both_drivers! {
    the_queue_is_bounded_in_entries
    the_queue_is_bounded_in_bytes
    an_append_is_admitted_before_the_store_is_read_for_it
    an_answered_append_returns_its_permit
    a_lone_appender_never_waits
    groups_that_take_turns_become_one
    groups_end_at_their_bound
}

async fn the_queue_is_bounded_in_entries<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_queue(3)).await;
    let first = bench.hold().await;
    let answers = ["A", "B"].map(|name| bench.submit(one(name)));
    let refused = bench.submit(one("C")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let refused = bench.writer.run(0, |_| unreachable!("it is not admitted")).await;
    let refused: crate::Result<()> = refused;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Overloaded, "jobs count, too");
    bench.script.release();
    first.await.unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(bench.stored(), ["First", "A", "B"]);
}

async fn the_queue_is_bounded_in_bytes<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_queue_bytes(4_000)).await;
    let first = bench.hold().await;
    let large = |bytes: usize| {
        let payload = format!("\"{}\"", "x".repeat(bytes));
        let event = NewEvent::json("PictureTaken", payload).unwrap();
        Append::to("flight-UA1545", Expected::Any, [event]).unwrap()
    };
    let fits = bench.submit(large(3_000));
    assert_eq!(bench.submit(large(1_000)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    bench.script.release();
    first.await.unwrap();
    fits.await.unwrap();
    bench.submit(large(9_000)).await.expect("a single append, however large");
}

/// An append with a boundary, which is scanned in the store.
fn bounded() -> Append {
    one("Bounded").with_check(Check::NothingAfter(Filter::everything(), Cursor::START))
}

async fn an_append_is_admitted_before_the_store_is_read_for_it<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_queue(1)).await;
    let first = bench.hold().await;
    // The store panics when it is read.
    let refused = bench.writer.append(bounded(), &NeverRead).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    bench.script.release();
    first.await.unwrap();
}

async fn an_answered_append_returns_its_permit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_queue(1)).await;
    for _ in 0..100 {
        bench.submit(one("A")).await.expect("the permit of the append before");
    }
}

async fn a_lone_appender_never_waits<const BLOCKING: bool>() {
    // The linger is an hour, but the test has to end within a minute.
    let options = WriterOptions::new().with_linger(Duration::from_hours(1));
    let bench = Bench::<BLOCKING>::with(options).await;
    for _ in 0..10 {
        bench.submit(one("A")).await.unwrap();
    }
    assert_eq!(bench.script.state().commits.len(), 10);
}

async fn groups_that_take_turns_become_one<const BLOCKING: bool>() {
    let options = WriterOptions::new().with_linger(Duration::from_hours(1));
    let bench = Bench::<BLOCKING>::with(options).await;
    let first = bench.hold().await;
    let mut others: Vec<_> = (0..3).map(|_| bench.submit(one("A"))).collect();
    bench.script.release();
    first.await.unwrap();
    others.push(bench.submit(one("A")));
    assert!(join_all(others).await.iter().all(Result::is_ok));
    let sizes: Vec<_> = bench.script.state().commits.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 4]);
}

async fn groups_end_at_their_bound<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_group(4)).await;
    let outcomes = bench.commit_together((0..10).map(|_| one("A"))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let sizes: Vec<_> = bench.script.state().commits.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 4, 4, 2]);
}

/// Counts how often a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_long_wait_for_more_appends_is_not_a_busy_loop() {
    let queue = Queue::<Scripted<false>>::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut wait = pin!(queue.wait(2, Some(Instant::now() + Duration::from_hours(1))));
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    tokio::task::yield_now().await;
    assert_eq!(woken.0.load(Ordering::Relaxed), 0, "it must not ask to be polled again at once");
    queue.close();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}
