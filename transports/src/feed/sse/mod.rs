//! The SSE endpoint.

mod body;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use downlink::transport::Frame;
use downlink::{After, Cursor, Filter, Read, Subscribe};
use http::Method;
use http::request::Parts;

use self::body::SseBody;
use super::drain::Drain;
use super::feed::Feed;
use super::reconnect::jitter;
use super::response::{close_connection, empty_body};
use super::rights::Rights;
use crate::headers::{is_event_source, set_event_stream};
use crate::wire::{self, Code, Problem, Query};

pub(super) const PARAMETERS: [&str; 9] = [
    "after",
    "lastEventId",
    "stream",
    "stream_prefix",
    "type",
    "type_prefix",
    "not_type",
    "tag",
    "heartbeat",
];

/// Answers `GET /feed` with a stream.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
) -> Result<Response, Problem> {
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let heartbeat_events = query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.restrict(wire::filter_of_query(&query)?)?;
    if parts.method == Method::HEAD {
        verify(feed, after, filter).await?;
        return Ok(event_stream(empty_body()));
    }
    let subscription =
        feed.hub.subscribe(Subscribe::new().with_after(after).with_filter(filter)).await?;
    let body =
        SseBody::new(subscription, feed, rights, drain).with_heartbeat_events(heartbeat_events);
    Ok(event_stream(body.into_body()))
}

/// Fails as opening the subscription would fail, without opening one.
async fn verify(feed: &Feed, after: After, filter: Filter) -> Result<(), Problem> {
    let read = match after {
        After::Cursor(cursor) => Read::log().with_after(cursor),
        After::Position(position) => Read::log().with_after(position),
        After::Start | After::Now | After::Last(_) => Read::log().with_after(Cursor::START),
    };
    feed.hub.read_log(read.with_filter(filter).with_limit(0)).await?;
    Ok(())
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    set_event_stream(response.headers_mut());
    response
}

/// Whether a problem must be sent as a stream that ends: an `EventSource` gives up
/// for good on any status but 200, and this problem is temporary.
pub(super) fn needs_stream(parts: &Parts, problem: &Problem) -> bool {
    let is_temporary = problem.is_retryable() || problem.status().is_server_error();
    is_temporary && is_event_source(&parts.method, &parts.headers)
}

/// A stream that sends only `bye`, with the time to reconnect.
pub(super) fn bye_only(problem: &Problem) -> Response {
    let base = problem.retry_after().unwrap_or(Duration::from_secs(5));
    let reconnect_after = jitter(base, base + base + Duration::from_secs(1));
    let bye = Frame::Bye { reason: problem.code().to_string(), reconnect_after };
    let mut response = event_stream(Body::from(wire::frame_block(&bye, None)));
    if problem.code() == Code::Draining {
        close_connection(&mut response);
    }
    response
}
