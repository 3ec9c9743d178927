use futures::FutureExt;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{Script, Scripted};
use crate::commit::{Writer, WriterOptions};
use crate::error::{Error, ErrorKind};

over_both_drivers! {
    waiting_calls_complete_after_close_and_later_ones_are_refused
    the_last_handle_ends_the_writer
    waiting_appends_are_stored_after_the_last_handle_is_dropped
    a_driver_that_fails_to_open_leaves_nothing_running
    a_start_that_is_dropped_leaves_nothing_running
}

async fn waiting_calls_complete_after_close_and_later_ones_are_refused<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    let waiting = bench.submit(one("A"));
    bench.writer.close();
    let refused = bench.submit(one("B")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let refused: crate::Result<()> = bench.writer.run(0, |_| unreachable!("it is closed")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    bench.script.release();
    bench.writer.shutdown().await;
    assert!(bench.script.state().is_closed, "the driver is closed when `closed` returns");
    first.await.unwrap();
    waiting.await.unwrap();
    assert_eq!(bench.stored(), ["First", "A"]);
    bench.writer.shutdown().await;
}

async fn the_last_handle_ends_the_writer<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let mut commits = bench.writer.commits();
    bench.submit(one("A")).await.unwrap();
    drop(bench.writer);
    bench.script.until(|state| state.is_closed).await;
    assert!(commits.next().await.is_some(), "a reported commit is not lost");
    assert!(commits.next().await.is_none(), "followers see the end");
}

async fn waiting_appends_are_stored_after_the_last_handle_is_dropped<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    let waiting = bench.submit(one("A"));
    // Dropping the callers' futures drops their handles, but not their appends.
    drop((first, waiting, bench.writer));
    bench.script.release();
    bench.script.until(|state| state.is_closed).await;
    let types: Vec<_> = bench.script.state().commits.concat();
    assert_eq!(types, ["First", "A"]);
}

async fn a_driver_that_fails_to_open_leaves_nothing_running<const BLOCKING: bool>() {
    let refused = async { Err(Error::new(ErrorKind::Corrupt, "not a log")) };
    let opened = Writer::<Scripted<BLOCKING>>::start(refused, WriterOptions::new()).await;
    assert_eq!(opened.err().map(|error| error.kind()), Some(ErrorKind::Corrupt));
}

async fn a_start_that_is_dropped_leaves_nothing_running<const BLOCKING: bool>() {
    let script = Script::default();
    let driver = Scripted::<BLOCKING>::new(&script);
    let opening = Writer::start(std::future::ready(Ok(driver)), WriterOptions::new());
    drop(opening.boxed().now_or_never());
    script.until(|state| state.is_closed).await;
}
