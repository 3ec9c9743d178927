//! The SSE endpoint: who gets a stream, and how everybody else is told.

mod body;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use downlink::{After, Cursor, Filter, Frame, Read, Subscribe};
use http::Method;
use http::header::{ACCEPT, CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use self::body::Stream;
use super::drain::Drain;
use super::ending::spread;
use super::rights::Rights;
use super::{Feed, headers};
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

/// Sent by clients that can read a status; a browser's own client dies of any
/// but 200.
const FEED_CLIENT: HeaderName = HeaderName::from_static("feed-client");

/// Whether `Accept` names `text/event-stream`.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named =
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        is_named && !parts.any(is_refusal)
    })
}

/// Whether this parameter of a media range is a weight of zero.
fn is_refusal(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    let is_zero = weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0);
    name.trim().eq_ignore_ascii_case("q") && is_zero
}

/// `GET /feed` of whoever wants a stream.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
) -> Result<Response, Problem> {
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let beats_are_events = query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.bound(wire::filter_of_query(&query)?)?;
    if parts.method == Method::HEAD {
        verify(feed, after, filter).await?;
        return Ok(event_stream(headers::nothing()));
    }
    let subscription = feed.hub.subscribe(Subscribe::new().after(after).filter(filter)).await?;
    let stream =
        Stream::new(subscription, feed, rights, drain).with_beats_as_events(beats_are_events);
    Ok(event_stream(stream.into_body()))
}

/// Refuses what a subscription would refuse, without one.
async fn verify(feed: &Feed, after: After, filter: Filter) -> Result<(), Problem> {
    let read = match after {
        After::Cursor(cursor) => Read::log().resume(cursor),
        After::Position(position) => Read::log().after(position),
        After::Start | After::Now | After::Last(_) => Read::log().resume(Cursor::START),
    };
    feed.hub.read(read.filter(filter).limit(0)).await?;
    Ok(())
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    crate::headers::event_stream(response.headers_mut());
    response
}

/// Whether a refusal has to look like a stream that ends: a browser's own
/// client dies for good of any status but 200, and this will pass.
pub(super) fn answers_softly(parts: &Parts, problem: &Problem) -> bool {
    let passes = problem.is_retryable() || problem.status().is_server_error();
    passes
        && parts.method == Method::GET
        && is_asked_for(&parts.headers)
        && !parts.headers.contains_key(FEED_CLIENT)
}

/// A stream that says only when to come back.
pub(super) fn farewell(problem: &Problem) -> Response {
    let base = problem.retry_after().unwrap_or(Duration::from_secs(5));
    let reconnect_after = spread(base, base + base + Duration::from_secs(1));
    let bye = Frame::Bye { reason: problem.code().to_string(), reconnect_after };
    let mut response = event_stream(Body::from(wire::frame_block(&bye, None)));
    if problem.code() == Code::Draining {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_what_accept_names() {
        let asks = |accept: &'static str| {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))];
            is_asked_for(&headers.into_iter().collect())
        };
        assert!(asks("text/event-stream"));
        assert!(asks("application/json, Text/Event-Stream;q=0.5"));
        assert!(asks("text/event-stream; charset=utf-8"));
        assert!(!asks("*/*"));
        assert!(!asks("text/*"));
        assert!(!asks("text/event-stream;q=0"));
        assert!(!asks("text/event-stream; q=0.000, text/html"));
        assert!(!asks("text/event-streams"));
        assert!(!is_asked_for(&HeaderMap::new()));
    }
}
