use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use downlink::{Filter, NewEvent, StreamId};
use http::HeaderValue;
use http::request::Parts;
use tokio::time::Instant;

use crate::wire::{Code, Problem};

/// What somebody may see, and until when.
///
/// A second filter, made by the server and joined to the client's by *and*. It
/// is evaluated at every request and every resume, so a right that shrank hides
/// what was seen before. What is outside of it is not delivered, and nobody is
/// told that it exists; cursors may show how much there is, never what.
///
/// The same filter bounds what may be appended: whoever may not see an event
/// may not write it.
///
/// Rights to a list of streams or types are made by
/// [`with_streams`](downlink::FilterItem::with_streams) and
/// [`with_types`](downlink::FilterItem::with_types), and rights to alternatives by
/// [`Filter::any`]: an empty list is a right to nothing. A filter that was joined of
/// [16 queries](downlink::limits::MAX_FILTER_QUERIES) leaves no room for the
/// client's.
///
/// # Examples
///
/// ```
/// use downlink::FilterItem;
/// use downlink_transports::feed::Rights;
///
/// let departures = FilterItem::new().with_type("FlightDeparted")?;
/// let rights = Rights::to(departures.into()).read_only();
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rights {
    filter: Filter,
    may_append: bool,
    ends: Option<Instant>,
}

impl Rights {
    /// To everything, without end.
    pub fn everything() -> Self {
        Self::to(Filter::everything())
    }

    /// To what matches, without end.
    pub fn to(filter: Filter) -> Self {
        Self { filter, may_append: true, ends: None }
    }

    /// Takes away the right to append.
    pub fn read_only(mut self) -> Self {
        self.may_append = false;
        self
    }

    /// Ends the rights at this moment, as a token says it: open streams end
    /// with `bye`, and what was passed is refused. Never by default.
    pub fn until(self, end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.lasting(left)
    }

    /// Ends the rights this long after now. Never by default.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.ends = Instant::now().checked_add(time);
        self
    }

    pub(super) fn ends(&self) -> Option<Instant> {
        self.ends
    }

    pub(super) fn is_everything(&self) -> bool {
        self.filter.is_everything()
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What of `wanted` may be seen.
    pub(super) fn bound(&self, wanted: Filter) -> Result<Filter, Problem> {
        // A filter from the wire is one query, so these are the rights.
        wanted.and(&self.filter).map_err(|error| {
            tracing::error!(%error, "rights are too large to be joined with what a client asks for");
            Problem::new(Code::Internal, "the server cannot say what you may see: see its log")
        })
    }

    /// Refuses what has ended already.
    pub(super) fn check_not_ended(self) -> Result<Self, Problem> {
        match self.ends {
            Some(end) if end <= Instant::now() => {
                Err(Refusal::unauthenticated("the rights have ended: authenticate again").into())
            }
            _ => Ok(self),
        }
    }

    /// Refuses to append what may not be seen.
    pub(super) fn check_append(
        &self,
        stream: &StreamId,
        events: &[NewEvent],
    ) -> Result<(), Problem> {
        let may = self.may_append && events.iter().all(|event| self.filter.matches(stream, event));
        if may { Ok(()) } else { Err(Refusal::forbidden("you may not append this here").into()) }
    }
}

/// Why somebody gets nothing.
///
/// # Examples
///
/// ```
/// use downlink_transports::feed::Refusal;
///
/// let refusal = Refusal::unauthenticated("send a bearer token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Refusal {
    problem: Problem,
}

impl Refusal {
    /// 401: nobody is known to be asking. The answer asks for a bearer token
    /// unless [`with_challenge`](Self::with_challenge) says otherwise.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::of(Code::Unauthenticated, detail).with_challenge(HeaderValue::from_static("Bearer"))
    }

    /// 403: whoever is asking may see nothing at all. For somebody who may see
    /// a part, return [`Rights`] to it instead.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::of(Code::Forbidden, detail)
    }

    /// 429: whoever is asking asks too often, or has too much open.
    pub fn limited(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self { problem: Problem::new(Code::Limit, detail).with_retry_after(retry_after) }
    }

    /// 503: whether they may cannot be found out now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::of(Code::Unavailable, detail)
    }

    /// Sets the `WWW-Authenticate` of the answer: `Bearer` for
    /// [`unauthenticated`](Self::unauthenticated) by default.
    pub fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.problem = self.problem.with_challenge(challenge);
        self
    }

    fn of(code: Code, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(code, detail) }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.problem
    }
}

/// Decides for every request what it may see.
///
/// Every function `async fn(&http::request::Parts) -> Result<Rights, Refusal>`
/// is one, and so is a closure that returns such a future without borrowing
/// from itself.
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// What this request may see.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if it may see nothing.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client goes away.
    async fn authorize(&self, parts: &Parts) -> Result<Rights, Refusal>;
}

#[async_trait]
impl<F> Authorize for F
where
    F: for<'a> AuthorizeFn<'a> + Send + Sync + 'static,
{
    async fn authorize(&self, parts: &Parts) -> Result<Rights, Refusal> {
        self.call(parts).await
    }
}

/// A function that decides, with a future that may borrow the request. A bound
/// for [`Authorize`] that cannot be written otherwise; nobody names it.
#[doc(hidden)]
pub trait AuthorizeFn<'a> {
    type Future: Future<Output = Result<Rights, Refusal>> + Send + 'a;

    fn call(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AuthorizeFn<'a> for F
where
    F: Fn(&'a Parts) -> Fut,
    Fut: Future<Output = Result<Rights, Refusal>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

impl fmt::Debug for dyn Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorize")
    }
}

#[cfg(test)]
mod tests {
    use downlink::FilterItem;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rights_end() {
        let rights = Rights::everything().lasting(Duration::from_secs(1));
        assert!(rights.clone().check_not_ended().is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rights.check_not_ended().unwrap_err().status(), 401);
        let past = Rights::everything().until(SystemTime::UNIX_EPOCH);
        assert!(past.check_not_ended().is_err());
    }

    #[test]
    fn nobody_writes_what_he_may_not_see() {
        let stream = StreamId::new("flight-UA1545").unwrap();
        let event = |name: &str| NewEvent::with_json(name, "{}").unwrap();
        let rights = Rights::to(FilterItem::new().with_type("A").unwrap().into());
        assert!(rights.check_append(&stream, &[event("A")]).is_ok());
        assert!(rights.check_append(&stream, &[event("A"), event("B")]).is_err());
        assert!(rights.read_only().check_append(&stream, &[event("A")]).is_err());
    }
}
