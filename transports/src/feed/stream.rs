use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use downlink::store::{Direction, Page, ReadStream, StreamSpan};
use downlink::{Read, StreamId, Version};
use futures::FutureExt;
use http::StatusCode;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::drain::{Drain, draining};
use super::feed::Feed;
use super::feed_cursor::FeedCursor;
use super::reauthorize::{RightsWatch, pending};
use super::response::json;
use super::rights::Rights;
use crate::wire::{Code, Envelopes, Problem, Query};

const PARAMETERS: [&str; 3] = ["from_version", "limit", "direction"];

/// Answers `GET /streams/{stream}` with a page of one stream.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
    watch: &RightsWatch,
) -> Result<Response, Problem> {
    let page = find_page(feed, parts, rights).boxed();
    let page = drain.unless_begun(page).await.ok_or_else(draining)?;
    if watch.have_changed() { Err(pending()) } else { page }
}

async fn find_page(feed: &Feed, parts: &Parts, rights: &Rights) -> Result<Response, Problem> {
    let stream = name(parts)?;
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let direction = direction(&query)?;
    let read = Read::stream(stream.clone())
        .with_limit(query.limit()?)
        .with_filter(rights.filter().clone());
    let read = read_from(read, from_version(&query)?, direction);
    let (page, span) = first_visible(feed, read).await?.ok_or_else(|| not_found(&stream))?;
    if page.events.is_empty() && !rights.is_everything() {
        let any = Read::stream(stream.clone()).with_limit(1).with_filter(rights.filter().clone());
        let visible = first_visible(feed, any).await?;
        visible.filter(|(page, _)| !page.events.is_empty()).ok_or_else(|| not_found(&stream))?;
    }
    let events = Envelopes::of(&page.events, &feed.renderer);
    Ok(render(&stream, direction, &page, span, &events))
}

fn render(
    stream: &StreamId,
    direction: Direction,
    page: &Page,
    span: StreamSpan,
    events: &Envelopes,
) -> Response {
    let more = page.more || events.is_full();
    let whole = !more && direction == Direction::Forward;
    let cursor = whole.then_some(page.head);
    let body = events.stream_page(stream, span.version, cursor, more);
    let response = json(StatusCode::OK, body);
    match cursor {
        Some(cursor) => (FeedCursor(cursor), response).into_response(),
        None => response,
    }
}

/// Reads up to the first page that has an event, or the last page; `None` if
/// there is no such stream. Pages of events that the rights hide are skipped, so
/// that a client does not get empty pages.
async fn first_visible(
    feed: &Feed,
    mut read: ReadStream,
) -> Result<Option<(Page, StreamSpan)>, Problem> {
    loop {
        let page = feed.hub.read_stream(read.clone()).await?;
        let Some(span) = page.stream else { return Ok(None) };
        match span.scanned {
            Some(scanned) if page.events.is_empty() && page.more => {
                read = read.with_after(scanned);
            }
            _ => return Ok(Some((page, span))),
        }
    }
}

/// The stream of the path: its last segment.
pub(super) fn name(parts: &Parts) -> Result<StreamId, Problem> {
    let bad = |detail: String| Problem::new(Code::BadStream, detail).with_parameter("stream");
    let name = last_segment(parts).ok_or_else(|| {
        bad("the stream's name is not UTF-8: percent-encode its UTF-8 bytes".into())
    })?;
    StreamId::new(name).map_err(|error| bad(error.to_string()))
}

/// The last segment of the path, decoded; `None` if it is not UTF-8.
pub(super) fn last_segment(parts: &Parts) -> Option<Cow<'_, str>> {
    let segment = parts.uri.path().rsplit('/').next().unwrap_or_default();
    percent_decode_str(segment).decode_utf8().ok()
}

fn not_found(stream: &StreamId) -> Problem {
    Problem::new(Code::StreamNotFound, format!("stream '{stream}' has no events that you may see"))
}

fn direction(query: &Query) -> Result<Direction, Problem> {
    match query.one("direction")? {
        None | Some("forward") => Ok(Direction::Forward),
        Some("backward") => Ok(Direction::Backward),
        Some(_) => {
            let detail = "'direction' takes 'forward' or 'backward'";
            Err(Problem::new(Code::BadParameter, detail).with_parameter("direction"))
        }
    }
}

fn from_version(query: &Query) -> Result<Option<Version>, Problem> {
    let Some(number) = query.number("from_version")? else { return Ok(None) };
    // Anything above the highest version is past the end, like the highest itself.
    let version = Version::new(number.min(Version::MAX.get())).ok_or_else(|| {
        let detail = "'from_version' is 0: versions count from 1";
        Problem::new(Code::BadParameter, detail).with_parameter("from_version")
    })?;
    Ok(Some(version))
}

/// Sets the first version of a read, which is included.
fn read_from(read: ReadStream, from: Option<Version>, direction: Direction) -> ReadStream {
    match (direction, from) {
        (Direction::Forward, from) => {
            let before = from.and_then(Version::previous);
            before.map_or(read.clone(), |version| read.with_after(version))
        }
        (Direction::Backward, None | Some(Version::MAX)) => read.backward(),
        (Direction::Backward, Some(from)) => read.backward().with_after(from.next()),
    }
}
