use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{Fault, Step};

over_both_drivers! {
    an_idle_writer_keeps_the_store_up
    who_waits_comes_before_what_is_wanted
    what_is_overdue_comes_first
    upkeep_that_fails_or_panics_holds_up_nobody
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
    // It looks when it has served somebody.
    bench.offer(one("B")).await.unwrap();
    bench.script.until(|state| state.upkeep == 0).await;
    bench.offer(one("C")).await.unwrap();
    let order = order(&bench);
    assert_eq!(order.iter().filter(|name| *name == "kept up").count(), 3, "{order:?}");
    assert_eq!(order.last().map(String::as_str), Some("C"));
}

async fn who_waits_comes_before_what_is_wanted<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    bench.script.state().upkeep = 1_000;
    let waiting: Vec<_> = (0..5).map(|_| bench.offer(one("A"))).collect();
    // A group each, so that there is time between them.
    let jobs = bench.offer(one("Last"));
    bench.script.release();
    first.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
    jobs.await.unwrap();
    let order = order(&bench);
    let last = order.iter().position(|name| name == "Last").unwrap();
    let before = order[..last].iter().filter(|name| *name == "kept up").count();
    assert!(before <= 1, "at most one piece, while all of them wait: {order:?}");
}

async fn what_is_overdue_comes_first<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    bench.script.state().upkeep = 1;
    bench.script.state().overdue_from = 1;
    let second = bench.offer(one("Second"));
    bench.script.release();
    first.await.unwrap();
    second.await.unwrap();
    let order = order(&bench);
    // One that lingers in the transaction takes the second into the first.
    assert!(order == ["First", "kept up", "Second"] || order == ["First", "Second"], "{order:?}");
    if order.len() == 2 {
        bench.script.until(|state| state.upkeep == 0).await;
    }
}

async fn upkeep_that_fails_or_panics_holds_up_nobody<const BLOCKING: bool>() {
    for fault in [Fault::Fails, Fault::Panics { stored: false }] {
        let bench = Bench::<BLOCKING>::start().await;
        bench.script.faults(Step::KeepUp, [fault]);
        bench.script.state().upkeep = 1;
        for name in ["A", "B", "C"] {
            bench.offer(one(name)).await.unwrap();
        }
        assert_eq!(bench.stored(), ["A", "B", "C"]);
        assert_eq!(bench.script.state().upkeep, 1, "it is not tried again at once");
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
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
