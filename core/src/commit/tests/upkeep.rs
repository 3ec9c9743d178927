use std::time::Duration;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{DriverStep, Fault};
use crate::commit::WriterOptions;

over_both_drivers! {
    an_idle_writer_does_upkeep
    waiting_appends_come_before_wanted_upkeep
    overdue_upkeep_comes_before_appends
    upkeep_that_fails_or_panics_blocks_no_append
    a_closed_writer_does_no_further_upkeep
}

/// The commits of upkeep and of appends, in order.
fn order<const BLOCKING: bool>(bench: &Bench<BLOCKING>) -> Vec<String> {
    bench.script.state().commits.concat()
}

async fn an_idle_writer_does_upkeep<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.submit(one("A")).await.unwrap();
    bench.script.state().upkeep = 3;
    // The writer checks for upkeep after each transaction.
    bench.submit(one("B")).await.unwrap();
    bench.script.until(|state| state.upkeep == 0).await;
    bench.submit(one("C")).await.unwrap();
    let order = order(&bench);
    assert_eq!(order.iter().filter(|name| *name == "upkeep").count(), 3, "{order:?}");
    assert_eq!(order.last().map(String::as_str), Some("C"));
}

/// What a writer commits while three appends wait, each a group of its own, and
/// its driver has slow upkeep to do.
async fn served_with_three_appends<const BLOCKING: bool>(overdue_from: usize) -> Vec<String> {
    let bench = Bench::<BLOCKING>::with(WriterOptions::new().with_group(1)).await;
    let first = bench.hold().await;
    let waiting = ["Second", "Third"].map(|name| bench.submit(one(name)));
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

async fn waiting_appends_come_before_wanted_upkeep<const BLOCKING: bool>() {
    let served = served_with_three_appends::<BLOCKING>(0).await;
    // One piece may be done at once, and the next only after nine times its duration.
    assert_eq!(served, ["First", "upkeep", "Second", "Third"]);
}

async fn overdue_upkeep_comes_before_appends<const BLOCKING: bool>() {
    let served = served_with_three_appends::<BLOCKING>(1).await;
    assert_eq!(served, ["First", "upkeep", "Second", "upkeep", "Third"]);
}

async fn upkeep_that_fails_or_panics_blocks_no_append<const BLOCKING: bool>() {
    for fault in [Fault::Fails, Fault::Panics { stored: false }] {
        let bench = Bench::<BLOCKING>::start().await;
        bench.script.faults(DriverStep::KeepUp, [fault]);
        bench.script.state().upkeep = 1;
        for name in ["A", "B", "C"] {
            bench.submit(one(name)).await.unwrap();
        }
        assert_eq!(bench.stored(), ["A", "B", "C"]);
        assert_eq!(bench.script.state().upkeep, 1, "it is not retried at once");
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        bench.submit(one("D")).await.unwrap();
        bench.script.until(|state| state.upkeep == 0).await;
    }
}

async fn a_closed_writer_does_no_further_upkeep<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    bench.script.state().upkeep = usize::MAX;
    bench.writer.close();
    bench.script.release();
    first.await.unwrap();
    bench.writer.shutdown().await;
    assert_eq!(order(&bench), ["First"]);
}
