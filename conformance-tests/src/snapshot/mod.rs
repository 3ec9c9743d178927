//! Laws of [`SnapshotStore`](downlink::decider::SnapshotStore).

mod answers;
mod executors;
mod saved;
mod tally;

pub use answers::a_snapshot_never_changes_an_answer;
pub use saved::{a_saved_snapshot_comes_back, a_snapshot_above_the_limit_is_not_loaded};
