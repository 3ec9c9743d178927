//! Laws of [`Transport`](downlink::Transport), over sockets of the loopback
//! interface.

mod authorizing;
mod cuts;
mod disconnects;
mod draining;
mod framing;
mod http;
mod long_poll_wire;
mod matrix;
mod proxies;
mod reauthorizing;
mod replaceable;
mod resuming;
mod setup;
mod sse_wire;
mod switching;
mod timeouts;
mod websocket_wire;

pub use authorizing::{
    AuthorizingTransportSetup, a_replay_hides_what_live_hides, what_may_not_be_seen_is_not_sent,
};
pub use cuts::{resumes_after_a_cut_at_every_byte, resumes_after_a_cut_in_hard_payloads};
pub use disconnects::a_client_that_goes_away_leaves_nothing;
pub use draining::a_drain_ends_every_stream_between_two_frames;
pub use framing::{delivers_the_log_in_order, frames_come_in_order, no_payload_forges_a_frame};
pub use long_poll_wire::{
    an_empty_poll_keeps_or_moves_the_cursor, nothing_is_lost_between_two_polls,
};
pub use matrix::one_writer_wins_and_is_seen;
pub use proxies::a_proxy_that_holds_bytes_back_only_delays;
pub use reauthorizing::{
    ReauthorizingTransportSetup, a_revoked_right_ends_while_a_stream_is_open,
    wider_rights_are_loaded_again,
};
pub use replaceable::{ReplaceableTransportSetup, a_running_server_reports_a_restore};
pub use resuming::{
    filter_and_resume_commute, resumes_from_any_id, the_cursor_moves_without_matches,
};
pub use setup::TransportSetup;
pub use sse_wire::{
    a_drained_stream_ends_with_bye, blocks_are_well_formed, malformed_ids_are_refused,
};
pub use switching::{
    TransportsSetup, a_client_may_switch_transports, all_transports_deliver_the_same,
};
pub use timeouts::{
    ShortTimeoutTransportSetup, a_client_leaves_a_silent_server,
    a_client_that_never_reads_is_disconnected, heartbeats_move_nothing,
};
pub use websocket_wire::{
    a_drained_socket_ends_with_bye, malformed_commands_are_refused, messages_are_well_formed,
    subscriptions_of_a_socket_are_independent,
};
