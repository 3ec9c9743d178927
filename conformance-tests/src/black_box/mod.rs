//! Checks any server that speaks the wire contract, feed v1, by its URL: what
//! the program `check-feed` does.
//!
//! It looks at answers and at the bytes of streams, and knows nothing of what
//! is behind them. What it cannot see (who lets go of whom and when, what a
//! crash leaves) is in the laws of transports, [`lists::TRANSPORT`](crate::lists::TRANSPORT).
//!
//! If the server takes appends, it writes events of its own, to streams with a
//! prefix of this run; otherwise it looks at what is there, and leaves the rest
//! out, which it says.

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

/// What a check found: nothing, or what is wrong.
type Outcome = Result<(), Trouble>;

/// Why a check did not succeed.
#[derive(Debug)]
enum Trouble {
    /// The server breaks the contract.
    Wrong(String),
    /// There is nothing to check: why.
    Absent(String),
}

impl From<String> for Trouble {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

macro_rules! checks {
    ($report:ident, $target:ident: $($module:ident::$check:ident)*) => {
        $($report.add(stringify!($check), $module::$check(&$target).await);)*
    };
}

/// Checks the feed at this URL, which is that of its router's root, and tells
/// each finding as soon as it is there.
///
/// # Errors
///
/// What is wrong with the URL, or that nobody answers there.
pub async fn check(url: &str, told: impl FnMut(&Finding)) -> Result<Report, String> {
    let target = Target::reach(url).await?;
    let mut report = Report::new(told);
    checks! { report, target:
        paging::pages_are_those_of_the_contract
        paging::answers_are_kept_by_nobody
        paging::heads_and_options_have_no_body
        limits::unknown_parameters_are_refused
        limits::malformed_parameters_are_refused
        limits::malformed_cursors_are_refused
        limits::unknown_paths_and_methods_are_problems
        limits::cursors_past_the_end_are_gone
        streaming::a_stream_begins_with_ready_and_becomes_live
        streaming::ids_stand_only_where_the_cursor_moves
        streaming::streams_and_pages_have_the_same_bytes
        resuming::every_cursor_is_resumed_exactly
        resuming::the_header_wins_over_the_url
        resuming::pages_of_any_size_concatenate
        resuming::a_poll_at_the_end_waits
        sockets::a_socket_opens_with_its_subprotocol
        sockets::sockets_and_pages_have_the_same_bytes
        sockets::what_does_not_ask_for_a_socket_is_told_how
        appending::appends_are_answered_with_their_place
        appending::a_repeat_is_a_duplicate
        appending::a_stale_expectation_is_a_conflict
        appending::what_is_no_append_is_refused
        appending::payloads_come_back_unchanged
        appending::whoever_waits_is_told
    }
    Ok(report.finish())
}
