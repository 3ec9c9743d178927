use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use downlink::budget::Reservation;
use downlink::store::Appended;
use downlink::{Append, Expected, NewEvent, StreamId, limits};
use http::StatusCode;
use http::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::feed::Feed;
use super::feed_cursor::FeedCursor;
use super::reauthorize::{RightsWatch, pending};
use super::response::json;
use super::rights::Rights;
use super::stream::name;
use crate::headers::check_is_json;
use crate::stall_timeout::{STALL_DEADLINE, StallTimeout, Stalled};
use crate::wire::{self, AppendBody, Code, Problem, Query};

/// The limit of one append applies to its body.
const MAX_BODY_BYTES: usize = limits::MAX_APPEND_BYTES;

/// Answers `POST /streams/{stream}`: appends.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    watch: &RightsWatch,
    body: Body,
) -> Result<Response, Problem> {
    let stream = name(parts)?;
    let query = Query::parse(parts.uri.query(), &["expected"], &feed.parameters)?;
    let expected = query.one("expected")?.map_or(Ok(Expected::Any), wire::parse_expected)?;
    check_headers(&parts.headers)?;
    rights.check_stream(&stream)?;
    let mut held = feed.budget(parts).empty();
    let body = read(body, &mut held).await?;
    let (events, _held) = parse(feed, body, held).await?;
    // The body may have taken long to come.
    let rights = rights.clone().check_not_ended()?;
    if watch.have_changed() {
        return Err(pending());
    }
    let (appended, body) = append(feed, &rights, stream, expected, events).await?;
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
    check_is_json(headers)
}

/// Takes the body as long as it can be accepted. Its bytes are added to `held`.
async fn read(body: Body, held: &mut Reservation) -> Result<AppendBody, Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let mut body = Limited::new(StallTimeout::new(body, STALL_DEADLINE, || ()), MAX_BODY_BYTES);
    let mut taken = AppendBody::with_capacity(declared);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| read_failed(&*error))?.into_data() else { continue };
        if !held.try_grow(piece.len()) {
            return Err(overloaded());
        }
        if !taken.push(&piece)? {
            break;
        }
    }
    Ok(taken)
}

/// Parses the body. What is returned with the events holds their bytes.
async fn parse(
    feed: &Feed,
    body: AppendBody,
    mut held: Reservation,
) -> Result<(Vec<NewEvent>, Reservation), Problem> {
    let bytes = body.len();
    if !held.try_grow(body.parsed_size()) {
        return Err(overloaded());
    }
    // Both go along, so that they are held as long as it is parsed, even if the request ends.
    let parse = move || {
        let events = body.parse();
        drop(body);
        // Those of the body are free now.
        held.shrink(bytes);
        events.map(|events| (events, held))
    };
    feed.parsers.run(bytes, parse).await
}

/// The problem of an append that the byte budget has no room for.
pub(super) fn overloaded() -> Problem {
    let detail = "the server holds as many bytes for its clients as it may, and nothing was \
                  written: retry later, or send less at a time";
    Problem::new(Code::Overloaded, detail)
}

fn read_failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
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

#[cfg(test)]
mod tests {
    use downlink::budget::ByteBudget;

    use super::*;

    #[tokio::test]
    async fn the_bytes_of_a_body_count_in_the_budget() {
        let budget = ByteBudget::new(100);
        let body = |bytes: usize| Body::from(" ".repeat(bytes));
        let mut held = budget.empty();
        let taken = read(body(100), &mut held).await.unwrap();
        assert_eq!((taken.len(), budget.used()), (100, 100));
        drop(held);
        let refused = read(body(101), &mut budget.empty()).await.unwrap_err();
        assert_eq!((refused.code(), budget.used()), (Code::Overloaded, 0));
    }
}
