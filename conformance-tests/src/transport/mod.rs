//! Laws of [`Transport`](downlink::Transport), over real sockets of the
//! loopback interface.

mod cuts;
mod event_stream;
mod framing;
mod line;
mod matrix;
mod raw;
mod restored;
mod resuming;

pub use cuts::resumes_after_a_cut_at_every_byte;
pub use event_stream::{blocks_are_well_formed, malformed_ids_are_refused};
pub use framing::{delivers_the_log_in_order, frames_come_in_order, no_payload_forges_a_frame};
pub use line::Line;
pub use matrix::one_writer_wins_and_is_seen;
pub use restored::{ReplaceableLine, a_running_server_tells_of_a_restore};
pub use resuming::{
    filter_and_resume_commute, resumes_from_any_id, the_cursor_moves_without_matches,
};
