mod bench;
mod bounds;
mod deadlines;
mod failures;
mod jobs;
mod lifecycle;
mod planner;
mod repetitions;
mod reports;
mod scripted;
mod transactions;
mod upkeep;

/// Runs a test with a driver that blocks on a thread of its own, and with one
/// that runs in a task.
macro_rules! over_both_drivers {
    ($($test:ident)*) => {$(
        mod $test {
            #[tokio::test]
            async fn in_a_thread() {
                super::super::bench::in_time(super::$test::<true>()).await;
            }

            #[tokio::test]
            async fn in_a_task() {
                super::super::bench::in_time(super::$test::<false>()).await;
            }
        }
    )*};
}
use over_both_drivers;
