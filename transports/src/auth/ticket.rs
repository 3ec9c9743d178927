use std::fmt;

use http::Uri;
use serde::{Serialize, Serializer};

use crate::feed::TICKET;

/// A secret for the parameter `ticket` of a URL, made by
/// [`Tickets::issue`](super::Tickets::issue). It needs no percent-encoding. Its `Debug`
/// does not show it; serialized, it is a string.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(pub(super) String);

impl Ticket {
    /// The secret itself, for the client that it was made for and for no log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Ticket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(secret)")
    }
}

/// The path and the query of a URL for a log: without the ticket.
///
/// Downlink itself logs no URLs. Use this where the application does, and make the proxy
/// in front of it do the same.
///
/// # Examples
///
/// ```
/// use downlink_transports::auth::redact_ticket;
///
/// let uri = "/feed?ticket=secret&type=A".parse()?;
/// assert_eq!(redact_ticket(&uri), "/feed?ticket=redacted&type=A");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[must_use]
pub fn redact_ticket(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let redacted = query
        .split('&')
        .map(|pair| if is_ticket(pair) { format!("{TICKET}=redacted") } else { pair.to_owned() });
    format!("{}?{}", uri.path(), redacted.collect::<Vec<_>>().join("&"))
}

/// Whether this pair of a query names the parameter, however it is encoded.
pub(super) fn is_ticket(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    percent_encoding::percent_decode_str(name).eq(TICKET.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_redacted_however_its_name_is_encoded() {
        for query in
            ["ticket=secret", "%74icket=secret&a=b", "a=b&ticke%74=secret", "ticket=a=secret"]
        {
            let uri = format!("/feed?{query}").parse().unwrap();
            assert!(!redact_ticket(&uri).contains("secret"), "{query}");
        }
        assert_eq!(redact_ticket(&"/feed?tickets=1".parse().unwrap()), "/feed?tickets=1");
        assert_eq!(redact_ticket(&"/feed".parse().unwrap()), "/feed");
    }
}
