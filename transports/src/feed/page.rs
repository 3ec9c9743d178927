use std::time::Duration;

use axum::response::{IntoResponse, Response};
use downlink::{After, Cursor, Filter, Item, Page, Read, Subscribe, Subscription};
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::Feed;
use super::drain::Drain;
use super::headers::{FeedCursor, json};
use super::rights::Rights;
use crate::wire::{self, Envelopes, Problem, Query};

const PARAMETERS: [&str; 10] = [
    "after",
    "lastEventId",
    "stream",
    "stream_prefix",
    "type",
    "type_prefix",
    "not_type",
    "tag",
    "wait",
    "limit",
];

/// `GET /feed` of whoever does not want a stream: a page, or with `wait` a
/// long-poll.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: &Drain,
) -> Result<Response, Problem> {
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let (limit, wait) = (query.limit()?, Duration::from_secs(query.wait()?));
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.bound(wire::filter_of_query(&query)?)?;
    let poll = Poll { feed, filter, limit };
    let waits = !wait.is_zero() && parts.method != Method::HEAD;
    let found = if waits {
        let end = Instant::now() + wait;
        let end = rights.ends().map_or(end, |rights| rights.min(end));
        poll.wait(after, end, drain).await?
    } else {
        poll.first(after).await?
    };
    let body = found.events.feed_page(found.cursor, found.head, found.more);
    let response = (FeedCursor(found.cursor), json(StatusCode::OK, body)).into_response();
    Ok(if drain.has_begun() { closing(response) } else { response })
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A run of events, and where it ends.
struct Found {
    events: Envelopes,
    cursor: Cursor,
    head: Cursor,
    more: bool,
}

impl Found {
    fn of(page: &Page) -> Self {
        let events = Envelopes::of(&page.events);
        let cut_at = events.last().filter(|_| events.is_full());
        Self {
            cursor: cut_at.unwrap_or(page.scanned),
            head: page.head,
            more: page.more || cut_at.is_some(),
            events,
        }
    }

    fn is_empty(&self) -> bool {
        self.events.len() == 0
    }
}

struct Poll<'a> {
    feed: &'a Feed,
    filter: Filter,
    limit: usize,
}

impl Poll<'_> {
    /// What is there already.
    async fn first(&self, after: After) -> Result<Found, Problem> {
        let read = match after {
            After::Start => Read::log().resume(Cursor::START),
            After::Cursor(cursor) => Read::log().resume(cursor),
            After::Position(position) => Read::log().after(position),
            After::Now | After::Last(_) => {
                Read::log().resume(self.subscribe(after).await?.cursor())
            }
        };
        self.read(read).await
    }

    async fn read(&self, read: Read) -> Result<Found, Problem> {
        let read = read.filter(self.filter.clone()).limit(self.limit);
        Ok(Found::of(&self.feed.hub.read(read).await?))
    }

    async fn subscribe(&self, after: After) -> Result<Subscription, Problem> {
        let subscribe = Subscribe::new().after(after).filter(self.filter.clone());
        Ok(self.feed.hub.subscribe(subscribe).await?)
    }

    /// The first run of events, or nothing at the end of the time or the server.
    ///
    /// Whoever waits at the tail costs the store nothing: the tail reads once
    /// for all of them.
    async fn wait(&self, after: After, end: Instant, drain: &Drain) -> Result<Found, Problem> {
        let at_the_tail = match after {
            After::Cursor(cursor) => self.tail(cursor),
            _ => None,
        };
        if let Some(subscription) = at_the_tail {
            return self.until(subscription, end, drain).await;
        }
        let mut found = self.first(after).await?;
        while found.is_empty() && found.more && Instant::now() < end {
            found = self.read(Read::log().resume(found.cursor)).await?;
        }
        if !found.is_empty() || found.more {
            return Ok(found);
        }
        let subscription = match self.tail(found.cursor) {
            Some(subscription) => subscription,
            None => self.subscribe(After::Cursor(found.cursor)).await?,
        };
        self.until(subscription, end, drain).await
    }

    fn tail(&self, after: Cursor) -> Option<Subscription> {
        self.feed.hub.tail(after, self.filter.clone())
    }

    async fn until(
        &self,
        mut subscription: Subscription,
        end: Instant,
        drain: &Drain,
    ) -> Result<Found, Problem> {
        let waited = tokio::select! {
            biased;
            () = drain.begins() => None,
            waited = timeout_at(end, first_event(&mut subscription)) => waited.ok(),
        };
        let first = waited.transpose()?.flatten();
        Ok(self.collect(first, &mut subscription))
    }

    fn collect(&self, first: Option<downlink::Event>, subscription: &mut Subscription) -> Found {
        let mut events = Envelopes::default();
        let mut cursor = subscription.cursor();
        let mut is_cut = false;
        let mut next = first.map(Item::Event);
        while let Some(item) = next {
            if let Item::Event(event) = &item
                && (events.len() == self.limit || !events.push(event))
            {
                is_cut = true;
                break;
            }
            cursor = item.cursor();
            next = subscription.try_next();
        }
        if !is_cut {
            cursor = subscription.scanned().unwrap_or(cursor);
        }
        let head = subscription.tip().max(cursor);
        Found { events, cursor, head, more: is_cut || cursor < head }
    }
}

/// The next event that matches; `None` if the hub was shut down.
async fn first_event(subscription: &mut Subscription) -> Result<Option<downlink::Event>, Problem> {
    while let Some(item) = subscription.next().await {
        if let Item::Event(event) = item? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}
