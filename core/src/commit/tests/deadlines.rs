use std::time::Duration;

use super::bench::{Bench, in_time, one};
use super::scripted::{DriverStep, Fault};
use crate::commit::{Ending, WriterOptions};
use crate::error::ErrorKind;

async fn bench() -> Bench<false> {
    Bench::with(WriterOptions::new().with_step_deadline(Duration::from_secs(1))).await
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_hangs_is_resolved_by_ids() {
    in_time(async {
        for stored in [true, false] {
            let bench = bench().await;
            bench.script.faults(DriverStep::Commit, [Fault::Nothing, Fault::Hangs { stored }]);
            for outcome in bench.commit_together([one("A"), one("B")]).await {
                assert!(!outcome.expect("its outcome is found out").duplicate);
            }
            assert_eq!(bench.stored(), ["First", "A", "B"]);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_times_out() {
    in_time(async {
        let bench = bench().await;
        for step in [DriverStep::Begin, DriverStep::Facts, DriverStep::Insert] {
            bench.script.faults(step, [Fault::Hangs { stored: false }]);
            let error = bench.submit(one("A")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{step:?}: {error}");
            bench.submit(one("B")).await.expect("the writer continues");
        }
        assert_eq!(bench.stored(), ["B", "B", "B"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_steps_hang_does_not_block_others() {
    in_time(async {
        let bench = bench().await;
        for (step, kind) in [
            (DriverStep::Begin, ErrorKind::Unavailable),
            (DriverStep::Commit, ErrorKind::OutcomeUnknown),
        ] {
            bench.script.faults(step, [Fault::Hangs { stored: false }]);
            let job = bench.writer.run(0, |_| Box::pin(async { Ok(Ending::Commit(())) }));
            assert_eq!(job.await.unwrap_err().kind(), kind, "{step:?}");
            bench.submit(one("A")).await.expect("the writer continues");
        }
    })
    .await;
}
