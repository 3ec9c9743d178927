use std::fmt;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use downlink::{Filter, FilterItem, NewEvent, StreamId};
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::wire::{Code, Problem};
use downlink::live::Principal;

/// What a client may see, and until when.
///
/// Rights are a second filter, made by the server and combined with the client's
/// by *and*. They are evaluated at every request and every resume, so rights
/// that shrank hide what was visible before. Events outside of them are not
/// delivered. Cursors may reveal the number of hidden events, nothing else.
///
/// The same filter restricts appends: a client cannot append an event that it
/// may not see.
///
/// For rights to a list of streams or types use
/// [`with_streams`](downlink::FilterItem::with_streams) and
/// [`with_types`](downlink::FilterItem::with_types), and for alternatives
/// [`Filter::any_of`]: an empty list means rights to nothing. A filter with
/// [16 queries](downlink::limits::MAX_FILTER_QUERIES) leaves none for the client,
/// whose filter is then refused.
///
/// # Examples
///
/// ```
/// use downlink::Filter;
/// use downlink_transports::feed::Rights;
///
/// let rights = Rights::to(Filter::types(["FlightDeparted"])).read_only();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rights {
    filter: Filter,
    may_append: bool,
    ends: Option<Instant>,
    principal: Option<Principal>,
}

impl Rights {
    /// Rights to everything, without an end.
    pub fn everything() -> Self {
        Self::to(Filter::everything())
    }

    /// Rights to what matches the filter, without an end.
    pub fn to(filter: Filter) -> Self {
        Self { filter, may_append: true, ends: None, principal: None }
    }

    /// Removes the right to append.
    pub fn read_only(mut self) -> Self {
        self.may_append = false;
        self
    }

    /// Ends the rights at this time, such as the expiry of a token: open streams
    /// end with `bye`, and later requests are refused. Never by default.
    pub fn with_expiry(self, end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.with_lifetime(left)
    }

    /// Ends the rights after this time from now. Never by default.
    pub fn with_lifetime(mut self, time: Duration) -> Self {
        self.ends = Instant::now().checked_add(time);
        self
    }

    /// Says whose rights these are: a value of the application's own type, such as
    /// the number of a user. None by default.
    ///
    /// ```
    /// use downlink_transports::feed::Rights;
    ///
    /// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    /// struct User(u64);
    ///
    /// let rights = Rights::everything().with_principal(User(7));
    /// assert_eq!(rights.principal::<User>(), Some(&User(7)));
    /// ```
    pub fn with_principal<P>(mut self, principal: P) -> Self
    where
        P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    {
        self.principal = Some(Principal::new(principal));
        self
    }

    /// Whose rights these are, if that was [said](Self::with_principal) with a value
    /// of this type.
    #[must_use]
    pub fn principal<P: 'static>(&self) -> Option<&P> {
        self.principal.as_ref()?.get()
    }

    /// Ends the rights at this time, unless they end before.
    #[cfg(feature = "auth")]
    pub(crate) fn with_expiry_at_latest(self, end: SystemTime) -> Self {
        let before = self.ends;
        let mut rights = self.with_expiry(end);
        rights.ends = [before, rights.ends].into_iter().flatten().min();
        rights
    }

    /// Whose rights these are, of whatever type.
    pub(super) fn any_principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
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

    /// The part of `wanted` that may be seen.
    pub(super) fn restrict(&self, wanted: Filter) -> Result<Filter, Problem> {
        // A filter from the wire is one query, so it is the rights that are too large.
        wanted.and(&self.filter).map_err(|error| {
            tracing::error!(%error, "the rights have too many queries for a client's filter");
            Problem::new(Code::Internal, "the server cannot apply your rights: see its log")
        })
    }

    /// Refuses rights that have ended.
    pub(super) fn check_not_ended(self) -> Result<Self, Problem> {
        match self.ends {
            Some(end) if end <= Instant::now() => {
                Err(Refusal::unauthenticated("your rights have ended: authenticate again").into())
            }
            _ => Ok(self),
        }
    }

    /// Refuses to append to a stream of which no event may be seen, whatever the
    /// events are.
    pub(super) fn check_stream(&self, stream: &StreamId) -> Result<(), Problem> {
        let may_match = |item: &FilterItem| {
            let streams = item.parts().streams;
            streams.is_empty() || streams.iter().any(|pattern| pattern.matches(stream.as_str()))
        };
        let may_match = self.filter.queries().iter().all(|query| query.iter().any(may_match));
        self.permit(may_match, "you may not append to this stream")
    }

    /// Refuses to append events that may not be seen.
    pub(super) fn check_append(
        &self,
        stream: &StreamId,
        events: &[NewEvent],
    ) -> Result<(), Problem> {
        let may_match = events.iter().all(|event| self.filter.matches(stream, event));
        self.permit(may_match, "you may not append these events to this stream")
    }

    fn permit(&self, may_match: bool, refusal: &str) -> Result<(), Problem> {
        let may_append = self.may_append && may_match;
        if may_append { Ok(()) } else { Err(Refusal::forbidden(refusal).into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rights_expire() {
        let rights = Rights::everything().with_lifetime(Duration::from_secs(1));
        assert!(rights.clone().check_not_ended().is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rights.check_not_ended().unwrap_err().status(), 401);
        let past = Rights::everything().with_expiry(SystemTime::UNIX_EPOCH);
        assert!(past.check_not_ended().is_err());
    }

    #[test]
    fn events_that_may_not_be_seen_may_not_be_appended() {
        let stream = StreamId::new("flight-UA1545").unwrap();
        let event = |name: &str| NewEvent::json(name, "{}").unwrap();
        let rights = Rights::to(FilterItem::new().with_type("A").unwrap().into());
        assert!(rights.check_append(&stream, &[event("A")]).is_ok());
        assert!(rights.check_append(&stream, &[event("A"), event("B")]).is_err());
        assert!(rights.clone().check_stream(&stream).is_ok());
        assert!(rights.clone().read_only().check_stream(&stream).is_err());
        assert!(rights.read_only().check_append(&stream, &[event("A")]).is_err());
    }

    #[test]
    fn a_stream_of_which_nothing_may_be_seen_is_known_without_the_events() {
        let of = |name| StreamId::new(name).unwrap();
        let item = |stream| FilterItem::new().with_stream(stream).unwrap();
        let any = Filter::any_of([item("a"), item("b").with_type("T").unwrap()]).unwrap();
        let rights = Rights::to(any.clone());
        assert!(rights.check_stream(&of("a")).is_ok() && rights.check_stream(&of("b")).is_ok());
        assert!(rights.check_stream(&of("c")).is_err());
        let both = any.and(&item("b").into()).unwrap();
        let rights = Rights::to(both);
        assert!(rights.check_stream(&of("a")).is_err() && rights.check_stream(&of("b")).is_ok());
        assert!(Rights::to(Filter::nothing()).check_stream(&of("a")).is_err());
    }
}
