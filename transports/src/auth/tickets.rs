use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use downlink::Result;
use http::Method;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::signed::{self, NotAccepted, Signed};
use super::ticket::is_ticket;
use super::{Authenticate, Authenticated, Keys, Ticket};
use crate::feed::Refusal;

const PURPOSE: &str = "ticket";

/// Tickets for a browser's `EventSource` and `WebSocket`, which send no `Authorization`:
/// the page gets one from a route of the application, which has authenticated it, and
/// puts it into the URL as the parameter `ticket`.
///
/// A ticket is the principal, as JSON that its holder can read, and the time at which it
/// ends, signed. The server keeps nothing. It may be used again until it expires, because
/// an `EventSource` reconnects with the URL that it has. It opens reads only, `GET` and
/// the upgrade to a WebSocket, and the rights that it gives are read-only: URLs land in
/// the logs of proxies. A stream ends with its ticket, with `bye` and the reason
/// `expired`; the page then gets a new ticket, and opens the stream from its last cursor.
///
/// Log URLs with [`redact_ticket`](super::redact_ticket).
///
/// # Examples
///
/// ```
/// use axum::Json;
/// use downlink_transports::auth::{Keys, SigningKey, Tickets};
///
/// let tickets = Tickets::new(Keys::new(SigningKey::generate()));
/// // In a route that only the user reaches, say `POST /ticket`:
/// let body = Json(tickets.issue(&"ann".to_owned())?);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Tickets<P> {
    keys: Keys,
    lifetime: Duration,
    principal: PhantomData<fn() -> P>,
}

impl<P> Tickets<P> {
    /// Tickets that are signed with these keys.
    pub fn new(keys: Keys) -> Self {
        Self { keys, lifetime: Duration::from_mins(15), principal: PhantomData }
    }

    /// How long a ticket is valid: 15 minutes by default. Longer than
    /// [a stream stays open](crate::feed::Feed::with_rotation), so that an `EventSource`
    /// can reconnect.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Makes a ticket for this principal. Answer with `Cache-Control: no-store`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the principal cannot be written as
    /// JSON, [`TooLarge`](downlink::ErrorKind::TooLarge) if it is too large for a URL.
    pub fn issue(&self, principal: &P) -> Result<Ticket>
    where
        P: Serialize,
    {
        Ok(Ticket(signed::sign(&self.keys, PURPOSE, principal, self.lifetime)?))
    }
}

#[async_trait]
impl<P> Authenticate for Tickets<P>
where
    P: DeserializeOwned + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Result<Option<Authenticated<P>>, Refusal> {
        let Some(ticket) = ticket(parts)? else { return Ok(None) };
        let signed: Signed<P> = signed::verify(&self.keys, PURPOSE, ticket).map_err(refused)?;
        let until = signed.until();
        Ok(Some(Authenticated::new(signed.principal).with_expiry(until).read_only()))
    }
}

/// The one ticket of a request that may have one.
fn ticket(parts: &Parts) -> Result<Option<&str>, Refusal> {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let mut tickets = pairs.filter(|pair| is_ticket(pair));
    let Some(pair) = tickets.next() else { return Ok(None) };
    if tickets.next().is_some() {
        return Err(Refusal::unauthenticated("'ticket' is given twice: give it once"));
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let detail = "a ticket is for GET only: send a cookie or 'Authorization: Bearer'";
        return Err(Refusal::unauthenticated(detail));
    }
    Ok(Some(pair.split_once('=').map_or("", |(_, ticket)| ticket)))
}

fn refused(why: NotAccepted) -> Refusal {
    Refusal::unauthenticated(match why {
        NotAccepted::Unknown => "the ticket is not one of this server: get a new one",
        NotAccepted::Expired => "the ticket has expired: get a new one",
    })
}

impl<P> fmt::Debug for Tickets<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::SigningKey;
    use super::*;

    async fn of(
        tickets: &Tickets<u64>,
        method: Method,
        query: &str,
    ) -> Result<Option<u64>, Refusal> {
        let request = Request::builder().method(method).uri(format!("/feed?{query}"));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let found = tickets.authenticate(&parts).await?;
        Ok(found.map(|found| *found.principal()))
    }

    #[tokio::test]
    async fn a_ticket_is_for_reading_and_for_its_principal() {
        let tickets = Tickets::new(Keys::new(SigningKey::generate()));
        let ticket = tickets.issue(&7).unwrap();
        assert!(!format!("{ticket:?} {tickets:?}").contains(ticket.as_str()));
        let query = format!("type=A&ticket={}", ticket.as_str());
        for _ in 0..2 {
            assert_eq!(of(&tickets, Method::GET, &query).await, Ok(Some(7)));
        }
        assert_eq!(of(&tickets, Method::GET, "type=A").await, Ok(None));
        for (method, query) in [
            (Method::POST, query.clone()),
            (Method::GET, format!("{query}&{query}")),
            (Method::GET, format!("{query}x")),
            (Method::GET, "ticket".to_owned()),
            (Method::GET, "%74icket=x".to_owned()),
        ] {
            let refusal = of(&tickets, method, &query).await.unwrap_err();
            assert!(!format!("{refusal:?}").contains(ticket.as_str()));
        }
    }
}
