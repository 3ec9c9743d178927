//! Checks any server that implements the wire contract, feed v1, by its URL.
//! The program `check-feed` runs these checks.
//!
//! It looks only at responses and at the bytes of streams. What it cannot see,
//! such as which side disconnects when and what a crash leaves behind, is
//! covered by the laws of transports,
//! [`lists::TRANSPORT`](crate::lists::TRANSPORT).
//!
//! If the server accepts appends, the checks write events to streams with a
//! prefix of this run. Otherwise they read what is there, and checks that need
//! more are reported as skipped.

mod appending;
mod ensure;
mod http;
mod limits;
mod paging;
mod report;
mod resuming;
mod socket;
mod sockets;
mod streaming;
mod target;

pub use report::{Finding, Report};
use target::Target;

/// The result of a check: success, or why it did not succeed.
type Outcome = Result<(), Failure>;

/// Why a check did not succeed.
#[derive(Debug)]
enum Failure {
    /// The server violates the contract.
    Wrong(String),
    /// There is nothing to check, for this reason.
    Skipped(String),
}

impl From<String> for Failure {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

macro_rules! checks {
    ($report:ident, $target:ident: $($module:ident::$check:ident)*) => {
        $($report.add(stringify!($check), $module::$check(&$target).await);)*
    };
}

/// Checks the feed whose router has its root at this URL, and passes each
/// finding to `on_finding` as soon as it is known.
///
/// # Errors
///
/// Returns what is wrong with the URL, or why there is no feed.
pub async fn check(url: &str, on_finding: impl FnMut(&Finding)) -> Result<Report, String> {
    let target = Target::reach(url).await?;
    let mut report = Report::new(on_finding);
    checks! { report, target:
        paging::pages_follow_the_contract
        paging::responses_are_not_cached
        paging::head_and_options_have_no_body
        limits::unknown_parameters_are_refused
        limits::malformed_parameters_are_refused
        limits::malformed_cursors_are_refused
        limits::unknown_paths_and_methods_are_problems
        limits::cursors_past_the_end_are_gone
        streaming::a_stream_begins_with_ready_and_becomes_live
        streaming::ids_are_present_only_where_the_cursor_moves
        streaming::streams_and_pages_have_the_same_bytes
        resuming::every_cursor_is_resumed_exactly
        resuming::the_header_wins_over_the_url
        resuming::pages_of_any_size_concatenate
        resuming::a_poll_at_the_end_waits
        sockets::a_socket_opens_with_its_subprotocol
        sockets::sockets_and_pages_have_the_same_bytes
        sockets::requests_without_an_upgrade_get_426
        appending::appends_return_their_versions_and_cursor
        appending::a_repeat_is_a_duplicate
        appending::a_stale_expectation_is_a_conflict
        appending::malformed_appends_are_refused
        appending::payloads_come_back_unchanged
        appending::waiting_clients_get_new_events
    }
    Ok(report.finish())
}
