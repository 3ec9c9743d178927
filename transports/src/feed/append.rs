use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use downlink::store::Appended;
use downlink::{Append, Expected, NewEvent, StreamId, limits};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::feed::Feed;
use super::feed_cursor::FeedCursor;
use super::response::json;
use super::rights::Rights;
use super::stream::name;
use crate::stall_timeout::{STALL_DEADLINE, StallTimeout, Stalled};
use crate::wire::{self, Code, Problem, Query};

/// The limit of one append applies to its body.
const MAX_BODY_BYTES: usize = limits::MAX_APPEND_BYTES;

/// Answers `POST /streams/{stream}`: appends.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    body: Body,
) -> Result<Response, Problem> {
    let stream = name(parts)?;
    let query = Query::parse(parts.uri.query(), &["expected"], &feed.parameters)?;
    let expected = query.one("expected")?.map_or(Ok(Expected::Any), wire::parse_expected)?;
    check_headers(&parts.headers)?;
    let events = wire::parse_events(&read(body).await?)?;
    let (appended, body) = append(feed, rights, stream, expected, events).await?;
    let status = if appended.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((FeedCursor(appended.cursor), json(status, body)).into_response())
}

/// Appends if these rights allow it, and returns what was stored, also as the
/// JSON of the wire contract.
pub(super) async fn append(
    feed: &Feed,
    rights: &Rights,
    stream: StreamId,
    expected: Expected,
    events: Vec<NewEvent>,
) -> Result<(Appended, String), Problem> {
    rights.check_append(&stream, &events)?;
    let ids: Vec<_> = events.iter().map(NewEvent::id).collect();
    let appended = feed.hub.append(Append::to(stream, expected, events)?).await?;
    let json = wire::appended_json(&appended, &ids);
    Ok((appended, json))
}

/// The problem of a feed without [`Feed::with_append`].
pub(super) fn disabled() -> Problem {
    let detail = "this feed does not accept appends: enable them in the program that serves it \
                  (Feed::with_append; for the example server, --allow-append)";
    Problem::new(Code::AppendDisabled, detail)
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH) {
        let detail = "preconditions are not supported: use the parameter 'expected' instead";
        return Err(Problem::new(Code::UnsupportedPrecondition, detail));
    }
    let mut content_types = headers.get_all(CONTENT_TYPE).iter();
    let content_type = content_types.next().and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let is_json = essence.trim().eq_ignore_ascii_case("application/json");
    if !is_json || content_types.next().is_some() {
        let detail = "send 'Content-Type: application/json', once";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "send the body without 'Content-Encoding'";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let mut body = Limited::new(StallTimeout::new(body, STALL_DEADLINE, || ()), MAX_BODY_BYTES);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => whole.extend(frame.into_data()),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(error) => return Err(read_failed(&*error)),
        }
    }
    Ok(whole.freeze())
}

fn read_failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    match Stalled::find(error) {
        Some(stalled) => Problem::new(Code::RequestTimeout, stalled.to_string()),
        None => Problem::new(Code::Invalid, "the body ended early: send all of it"),
    }
}

fn too_large() -> Problem {
    let detail =
        format!("the body has more than {MAX_BODY_BYTES} bytes: split it into several appends");
    Problem::new(Code::TooLarge, detail).with_limit(MAX_BODY_BYTES)
}
