//! Laws of [`ProjectionStore`](downlink::projection::ProjectionStore) and of projections
//! that a hub runs over it.

mod announcing;
mod durable;
mod failing;
mod fixture;
mod holder;
mod leasing;
mod read_model;
mod replacing;
mod runner;
mod running;
mod sample;
mod setup;
mod standby;
mod steps;
mod versions;

pub use announcing::every_event_is_announced_once;
pub use durable::{DurableProjectionSetup, a_killed_projection_resumes_exactly};
pub use failing::{
    a_failing_event_is_retried_as_configured, a_projection_stops_before_a_failing_event,
    a_projection_waits_for_a_busy_store, another_history_stops_a_projection,
    only_failing_events_are_skipped,
};
pub use fixture::{DurableProjectionFixture, Opened, ProjectionFixture};
pub use leasing::{
    a_step_prolongs_its_lease, a_step_without_the_lease_is_refused, an_expired_lease_is_taken_over,
    one_of_many_workers_has_the_lease,
};
pub use read_model::ReadModel;
pub use replacing::a_killed_worker_is_replaced;
pub use runner::{DownlinkRunner, RunOptions, RunnerFixture, RunningProjection};
pub use running::{
    a_checkpoint_moves_without_matches, a_new_version_is_built_beside_the_live_one,
    a_running_projection_is_exact, wait_for_returns_when_the_model_has_it,
};
pub use setup::ProjectionSetup;
pub use standby::{a_stalled_worker_is_replaced, one_worker_works_while_others_stand_by};
pub use steps::{
    a_checkpoint_never_goes_back, a_dropped_step_is_all_or_nothing, a_failed_step_leaves_no_trace,
    a_model_is_the_fold_up_to_its_checkpoint, a_reset_starts_over,
    any_size_of_steps_gives_the_same_model, dead_letters_move_with_the_checkpoint,
    one_of_two_workers_commits_a_step,
};
pub use versions::{
    an_event_is_announced_at_most_once, only_a_higher_version_becomes_live, versions_are_isolated,
};
