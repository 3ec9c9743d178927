use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{DriverStep, Fault};
use crate::commit::{Ending, WriterOptions};
use crate::error::{Error, ErrorKind, Result};

over_both_drivers! {
    a_job_is_committed_or_rolled_back_as_it_returns
    a_job_that_fails_is_rolled_back
    a_job_that_panics_is_rolled_back
    a_job_whose_commit_is_uncertain_has_an_unknown_outcome
    appends_do_not_overtake_jobs
    a_job_is_no_append_to_wait_for
}

type Notes = Vec<&'static str>;

/// A job that writes a note and then ends with `end`.
fn note<T: Send + 'static>(
    text: &'static str,
    end: impl FnOnce() -> Result<Ending<T>> + Send + 'static,
) -> impl for<'t> FnOnce(&'t mut Notes) -> BoxFuture<'t, Result<Ending<T>>> + Send + 'static {
    move |notes: &mut Notes| {
        async move {
            notes.push(text);
            end()
        }
        .boxed()
    }
}

async fn a_job_is_committed_or_rolled_back_as_it_returns<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let rolled_back = bench.writer.run(0, note("no", || Ok(Ending::RollBack(1)))).await;
    let committed = bench.writer.run(0, note("yes", || Ok(Ending::Commit(2)))).await;
    assert_eq!((rolled_back.unwrap(), committed.unwrap()), (1, 2));
    assert_eq!(bench.script.state().notes, ["yes"]);
    bench.submit(one("A")).await.expect("no transaction is left open");
}

async fn a_job_that_fails_is_rolled_back<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let fails = note("no", || Err::<Ending<()>, _>(Error::new(ErrorKind::Corrupt, "a bad row")));
    assert_eq!(bench.writer.run(0, fails).await.unwrap_err().kind(), ErrorKind::Corrupt);
    bench.script.faults(DriverStep::Commit, [Fault::Fails]);
    let error = bench.writer.run(0, note("no", || Ok(Ending::Commit(())))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "certainly nothing is stored");
    bench.script.faults(DriverStep::Begin, [Fault::Fails]);
    let error = bench.writer.run(0, note("no", || Ok(Ending::Commit(())))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    bench.submit(one("A")).await.expect("no transaction is left open");
    assert_eq!(bench.script.state().commits, [["A"]]);
}

async fn a_job_that_panics_is_rolled_back<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let panics = note("no", || -> Result<Ending<()>> { panic!("a bad projection") });
    let error = bench.writer.run(0, panics).await.unwrap_err();
    assert!(error.to_string().contains("a bad projection"), "{error}");
    bench.submit(one("A")).await.expect("no transaction is left open");
    assert_eq!(bench.script.state().commits, [["A"]]);
}

async fn a_job_whose_commit_is_uncertain_has_an_unknown_outcome<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    for fault in [Fault::IsUnknown { stored: true }, Fault::Panics { stored: true }] {
        bench.script.faults(DriverStep::Commit, [fault]);
        let error = bench.writer.run(0, note("n", || Ok(Ending::Commit(())))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{fault:?}: it may be stored");
    }
}

async fn appends_do_not_overtake_jobs<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let first = bench.hold().await;
    let before = bench.submit(one("Before"));
    let mut job = bench.writer.run(0, note("job", || Ok(Ending::Commit(())))).boxed();
    assert!((&mut job).now_or_never().is_none());
    let after = bench.submit(one("After"));
    bench.script.release();
    first.await.unwrap();
    before.await.unwrap();
    after.await.unwrap();
    job.await.unwrap();
    assert_eq!(bench.script.state().commits, [["First"], ["Before"], ["job"], ["After"]]);
}

async fn a_job_is_no_append_to_wait_for<const BLOCKING: bool>() {
    let options = WriterOptions::new().with_linger(Duration::from_hours(1));
    let bench = Bench::<BLOCKING>::with(options).await;
    let first = bench.hold().await;
    let mut job = bench.writer.run(0, note("job", || Ok(Ending::Commit(())))).boxed();
    assert!((&mut job).now_or_never().is_none());
    bench.script.release();
    first.await.unwrap();
    job.await.unwrap();
    bench.submit(one("A")).await.unwrap();
    assert_eq!(bench.script.state().commits, [["First"], ["job"], ["A"]]);
}
