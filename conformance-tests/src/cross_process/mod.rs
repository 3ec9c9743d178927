//! Laws of logs that several processes share.
//!
//! The other process is the program of the test, started again
//! ([`Reentry`]): it opens the log as
//! [`CrossProcessFixture::open_elsewhere`](crate::CrossProcessFixture::open_elsewhere) says, and does what it is
//! told on its standard input.

mod actor;
mod order;
mod peer;
mod races;
mod sharing;
mod stage;
mod turns;

pub use races::one_process_wins_each_version;
pub use sharing::{
    other_processes_are_woken, processes_share_one_log, two_stores_of_one_log_agree,
};
pub use stage::{Processes, Reentry};
pub use turns::{a_lock_held_past_the_deadline_is_busy, processes_take_turns};
