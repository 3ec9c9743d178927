mod bench;
mod bounds;
mod deadlines;
mod failures;
mod jobs;
mod planner;
mod scripted;
mod serving;
mod told;
mod transactions;
mod upkeep;

/// Runs a test over a driver that blocks on a thread of its own, and over one
/// that is a task.
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
