//! Laws of logs that several processes share.
//!
//! The other process is the program of the test, started again (see
//! [`Respawn`]). It opens the log with
//! [`open_in_child`](crate::CrossProcessFixture::open_in_child), and executes
//! the commands that it reads from its standard input.

mod log_user;
mod peer;
mod peer_command;
mod races;
mod setup;
mod sharing;
mod turns;

pub use races::one_process_wins_each_version;
pub use setup::{CrossProcessSetup, Respawn};
pub use sharing::{
    other_processes_are_woken, processes_share_one_log, two_stores_of_one_log_agree,
};
pub use turns::{a_lock_held_past_the_deadline_is_busy, processes_take_turns};
