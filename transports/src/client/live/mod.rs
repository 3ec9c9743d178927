//! Follows live queries.

mod connection;
mod follow_live;
mod live_rows;
#[cfg(feature = "long-poll")]
mod poller;

#[cfg(feature = "websocket")]
pub(super) use connection::LiveEvent;
pub use follow_live::FollowLive;
pub use live_rows::LiveRows;

use downlink::live::{Params, Token};
use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What a connection asks for.
#[derive(Clone, Debug)]
struct Question {
    query: String,
    params: Params,
}

impl Question {
    /// The route of the query.
    fn route(&self) -> String {
        format!("/live/{}", encoded(&self.query))
    }

    /// The parameters of the query, encoded.
    fn parameters(&self) -> Vec<String> {
        let pairs = self.params.iter();
        pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect()
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn header(token: Token) -> HeaderValue {
    HeaderValue::try_from(token.to_string()).expect("a token is hex digits and punctuation")
}
