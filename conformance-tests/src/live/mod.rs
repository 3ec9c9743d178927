//! Laws of [live queries](downlink::live), over any store whose read models can be queried
//! and any transport.

mod asking;
mod board;
mod fixture;
mod following;
mod setup;

pub use asking::{
    a_live_query_follows_a_new_version, a_live_query_sees_earlier_writes,
    a_model_that_is_rebuilt_is_not_shown, only_matching_events_cause_evaluations,
};
pub use fixture::{Held, LiveFixture, LiveFollower, LiveTransport};
pub use following::rows_are_the_answer_at_their_cursor;
pub use setup::LiveSetup;
