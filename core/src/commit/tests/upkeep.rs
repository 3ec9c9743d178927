use std::time::Duration;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{Fault, Step};
use crate::commit::WriterOptions;

over_both_drivers! {
    an_idle_writer_keeps_the_store_up
    who_waits_comes_before_what_is_wanted
    what_is_overdue_comes_first
    upkeep_that_fails_or_panics_holds_up_no_append
    a_writer_that_is_closed_leaves_the_rest
}

/// Commits of upkeep and of appends, in their order.
fn order<const BLOCKING: bool>(bench: &Bench<BLOCKING>) -> Vec<String> {
    bench.script.state().commits.concat()
}

async fn an_idle_writer_keeps_the_store_up<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.offer(one("A")).await.unwrap();
    bench.script.state().upkeep = 3;
    // It looks after each transaction.
    bench.offer(one("B")).await.unwrap();
    bench.script.until(|state| state.upkeep == 0).await;
    bench.offer(one("C")).await.unwrap();
    let order = order(&bench);
    assert_eq!(order.iter().filter(|name| *name == "kept up").count(), 3, "{order:?}");
    assert_eq!(order.last().map(String::as_str), Some("C"));
}

/// What a writer does that has three appends to serve, each alone, while its
/// driver has upkeep that takes long.
async fn beside_three_appends<const BLOCKING: bool>(overdue_from: usize) -> Vec<String> {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_group(1)).await;
    let first = bench.hold().await;
    let waiting = ["Second", "Third"].map(|name| bench.offer(one(name)));
    {
        let mut state = bench.script.state();
        (state.upkeep, state.overdue_from) = (3, overdue_from);
        state.upkeep_takes = Duration::from_millis(100);
    }
    bench.script.release();
    first.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
    bench.script.until(|state| state.upkeep == 0).await;
    let mut served = order(&bench);
    served.truncate(1 + served.iter().position(|name| name == "Third").unwrap());
    served
}

async fn who_waits_comes_before_what_is_wanted<const BLOCKING: bool>() {
    let served = beside_three_appends::<BLOCKING>(0).await;
    // One piece may come at once, and the next after nine times its time.
    assert_eq!(served, ["First", "kept up", "Second", "Third"]);
}

async fn what_is_overdue_comes_first<const BLOCKING: bool>() {
    let served = beside_three_appends::<BLOCKING>(1).await;
    assert_eq!(served, ["First", "kept up", "Second", "kept up", "Third"]);
}

async fn upkeep_that_fails_or_panics_holds_up_no_append<const BLOCKING: bool>() {
    for fault in [Fault::Fails, Fault::Panics { stored: false }] {
        let bench = Bench::<BLOCKING>::start().await;
        bench.script.faults(Step::KeepUp, [fault]);
        bench.script.state().upkeep = 1;
        for name in ["A", "B", "C"] {
            bench.offer(one(name)).await.unwrap();
        }
        assert_eq!(bench.stored(), ["A", "B", "C"]);
        assert_eq!(bench.script.state().upkeep, 1, "it is not tried again at once");
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        bench.offer(one("D")).await.unwrap();
        bench.script.until(|state| state.upkeep == 0).await;
    }
}

async fn a_writer_that_is_closed_leaves_the_rest<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    bench.script.state().upkeep = usize::MAX;
    bench.writer.close();
    bench.script.release();
    first.await.unwrap();
    bench.writer.closed().await;
    assert_eq!(order(&bench), ["First"]);
}
