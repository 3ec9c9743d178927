use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use downlink::{Append, Expected, NewEvent, limits};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::Feed;
use super::headers::{FeedCursor, json};
use super::rights::Rights;
use super::stream::name;
use crate::wire::{self, Code, Problem, Query};

/// The bytes of a body: what one append may have in all.
const MAX_BODY_BYTES: usize = limits::MAX_APPEND_BYTES;

/// How long a body may come to a halt.
const PATIENCE: Duration = Duration::from_secs(20);

/// `POST /streams/{stream}`: an append.
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
    rights.check_append(&stream, &events)?;
    let ids: Vec<_> = events.iter().map(NewEvent::id).collect();
    let append = Append::to(stream, expected, events)?;
    let appended = feed.hub.append_all(append).await?;
    let status = if appended.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let body = wire::appended_json(&appended, &ids);
    Ok((FeedCursor(appended.cursor), json(status, body)).into_response())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH) {
        let detail = "say what you expect of the stream with '?expected=' instead";
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
        let detail = "send the body as it is, without 'Content-Encoding'";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let mut body = Limited::new(body, MAX_BODY_BYTES);
    let mut whole = BytesMut::new();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| halted())? {
        match frame {
            Ok(frame) => whole.extend(frame.into_data()),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(_) => {
                return Err(Problem::new(Code::Invalid, "the body broke off: send it whole"));
            }
        }
    }
    Ok(whole.freeze())
}

fn halted() -> Problem {
    let detail = format!("nothing of the body came for {PATIENCE:?}: send it without a break");
    Problem::new(Code::RequestTimeout, detail)
}

fn too_large() -> Problem {
    let detail = format!("the body has more than {MAX_BODY_BYTES} bytes: send it in parts");
    Problem::new(Code::TooLarge, detail).with_limit(MAX_BODY_BYTES)
}
