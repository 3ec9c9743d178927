use std::time::Duration;

use axum::response::{IntoResponse, Response};
use downlink::store::{Page, ReadLog};
use downlink::{After, Cursor, Filter, Item, Read, Subscribe, Subscription};
use futures::FutureExt;
use http::request::Parts;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::drain::{Drain, draining};
use super::feed::Feed;
use super::feed_cursor::FeedCursor;
use super::reauthorize::RightsWatch;
use super::response::{close_connection, json};
use super::rights::Rights;
use crate::wire::{self, Code, Envelopes, Problem, Query, Renderer};

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

/// Answers `GET /feed` without a stream: with a page, or with `wait` as a
/// long-poll.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
    watch: RightsWatch,
) -> Result<Response, Problem> {
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let (limit, wait) = (query.limit()?, Duration::from_secs(query.wait()?));
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.restrict(wire::filter_of_query(&query)?)?;
    watch.check_return(after).await?;
    let query = PageQuery { feed, filter, limit };
    let waits = !wait.is_zero() && parts.method != Method::HEAD;
    // Boxed, because what wraps a future keeps room for it more than once, and thousands may wait here.
    let finding = if waits {
        let end = Instant::now() + wait;
        let end = rights.ends().map_or(end, |rights| rights.min(end));
        query.wait(after, end, &drain).boxed()
    } else {
        let first = drain.unless_begun(query.first(after).boxed());
        async { first.await.ok_or_else(draining)? }.boxed()
    };
    let found = match watch.unless_changed(finding).await {
        Some(found) => found?,
        None if watch.have_changed() => return Err(watch.problem().await),
        None => return Err(draining()),
    };
    watch.check_page(found.cursor).await?;
    let body = found.events.feed_page(found.cursor, found.head, found.more);
    let mut response = (FeedCursor(found.cursor), json(StatusCode::OK, body)).into_response();
    if drain.has_begun() {
        close_connection(&mut response);
    }
    Ok(response)
}

/// The events of a page, and the cursor after them.
struct FoundPage {
    events: Envelopes,
    cursor: Cursor,
    head: Cursor,
    more: bool,
}

impl FoundPage {
    fn of(page: &Page, renderer: &Renderer) -> Self {
        let events = Envelopes::of(&page.events, renderer);
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

struct PageQuery<'a> {
    feed: &'a Feed,
    filter: Filter,
    limit: usize,
}

impl PageQuery<'_> {
    /// Reads the page that is available now.
    async fn first(&self, after: After) -> Result<FoundPage, Problem> {
        let read = match self.place(after).await? {
            After::Cursor(cursor) => Read::log().with_after(cursor),
            After::Position(position) => Read::log().with_after(position),
            _ => Read::log().with_after(Cursor::START),
        };
        self.read(read).await
    }

    /// The same place, as a cursor if it depends on the log.
    async fn place(&self, after: After) -> Result<After, Problem> {
        match after {
            After::Now | After::Last(_) => Ok(self.subscribe(after).await?.cursor().into()),
            other => Ok(other),
        }
    }

    async fn read(&self, read: ReadLog) -> Result<FoundPage, Problem> {
        let read = read.with_filter(self.filter.clone()).with_limit(self.limit);
        Ok(FoundPage::of(&self.feed.hub.read_log(read).await?, &self.feed.renderer))
    }

    async fn subscribe(&self, after: After) -> Result<Subscription, Problem> {
        let subscribe = Subscribe::new().with_after(after).with_filter(self.filter.clone());
        Ok(self.feed.hub.subscribe(subscribe).await?)
    }

    /// Waits for the first events; returns an empty page at `end` or at a drain.
    ///
    /// Polls that wait at the end of the log don't read the store: the hub reads
    /// once for all of them.
    async fn wait(&self, after: After, end: Instant, drain: &Drain) -> Result<FoundPage, Problem> {
        let place = self.place(after).boxed();
        let after = match drain.unless_begun(timeout_at(end, place)).await {
            Some(Ok(after)) => after?,
            Some(Err(_)) => return Err(too_busy()),
            None => return Err(draining()),
        };
        if let After::Cursor(cursor) = after
            && let Some(subscription) = self.tail(cursor)
        {
            return self.wait_on(subscription, end, drain).await;
        }
        let in_time = async |read| drain.unless_begun(timeout_at(end, read)).await?.ok();
        let Some(first) = in_time(self.first(after).boxed()).await else {
            return self.nothing_after(after);
        };
        let mut found = first?;
        while found.is_empty() && found.more {
            let next = self.read(Read::log().with_after(found.cursor)).boxed();
            let Some(next) = in_time(next).await else { return Ok(found) };
            found = next?;
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let subscription = match self.tail(found.cursor) {
            Some(subscription) => subscription,
            None => self.subscribe(After::Cursor(found.cursor)).boxed().await?,
        };
        self.wait_on(subscription, end, drain).await
    }

    /// The answer to a poll whose turn to read did not come.
    fn nothing_after(&self, after: After) -> Result<FoundPage, Problem> {
        let cursor = match after {
            After::Cursor(cursor) => cursor,
            After::Start => Cursor::START,
            _ => return Err(too_busy()),
        };
        let head = self.feed.hub.cached_head().max(cursor);
        Ok(FoundPage { events: Envelopes::default(), cursor, head, more: cursor < head })
    }

    fn tail(&self, after: Cursor) -> Option<Subscription> {
        self.feed.hub.subscribe_cached(after, self.filter.clone())
    }

    async fn wait_on(
        &self,
        mut subscription: Subscription,
        end: Instant,
        drain: &Drain,
    ) -> Result<FoundPage, Problem> {
        let waiting = timeout_at(end, first_event(&mut subscription));
        let waited = drain.unless_begun(waiting).await.and_then(Result::ok);
        let first = waited.transpose()?.flatten();
        Ok(self.collect(first, &mut subscription))
    }

    fn collect(
        &self,
        first: Option<downlink::Event>,
        subscription: &mut Subscription,
    ) -> FoundPage {
        let mut events = Envelopes::new(&self.feed.renderer);
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
        let head = subscription.cached_head().max(cursor);
        FoundPage { events, cursor, head, more: is_cut || cursor < head }
    }
}

fn too_busy() -> Problem {
    let detail = "the place to begin at was not found within 'wait', because others search the log: \
                  repeat the request later";
    Problem::new(Code::Overloaded, detail)
}

/// Returns the next event that matches; `None` if the hub was shut down.
async fn first_event(subscription: &mut Subscription) -> Result<Option<downlink::Event>, Problem> {
    while let Some(item) = subscription.next().await {
        if let Item::Event(event) = item? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}
