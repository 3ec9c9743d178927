use axum::response::{IntoResponse, Response};
use downlink::live::{LiveError, LiveSubscription, RowsHash, Token, Update};
use downlink::{Error, ErrorKind};
use http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::request::Parts;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::request::LiveRequest;
use crate::feed::drain::{Drain, draining};
use crate::feed::feed_cursor::FeedCursor;
use crate::feed::response::{close_connection, json};
use crate::feed::rights::Rights;
use crate::wire::{LiveFrame, Problem};

/// Answers with one frame. With `after` and `wait` it waits for another answer than the one
/// that the client has.
pub(super) async fn answer(
    request: LiveRequest,
    parts: &Parts,
    rights: &Rights,
    drain: &Drain,
) -> Result<Response, Problem> {
    let end = Instant::now() + request.wait;
    let end = rights.ends().map_or(end, |rights| rights.min(end));
    let waits = request.after.is_some() && parts.method != Method::HEAD;
    let watching = drain.unless_begun(request.live.watch(request.watch));
    let mut subscription = watching.await.ok_or_else(draining)??;
    let update = if waits {
        wait(&mut subscription, end, drain).await?
    } else {
        let first = timeout_at(end, subscription.next());
        first.await.map_err(|_| LiveError::Behind)?.ok_or_else(draining)?
    };
    let (token, frame) = frame(update)?;
    let tag = HeaderValue::try_from(format!("W/\"{token}\"")).expect("a token is hex digits");
    let head = (FeedCursor(token.cursor), [(ETAG, tag)]);
    if has_rows(&parts.headers, token.hash) {
        return Ok((head, StatusCode::NOT_MODIFIED).into_response());
    }
    let body = frame.json_with("key", subscription.key()).concat();
    let body = String::from_utf8(body).map_err(|_| not_text())?;
    let mut response = (head, json(StatusCode::OK, body)).into_response();
    if drain.has_begun() {
        close_connection(&mut response);
    }
    Ok(response)
}

/// Waits until the rows are other ones. At `end` and at a drain, the client learns that they
/// are the same.
async fn wait(
    subscription: &mut LiveSubscription,
    end: Instant,
    drain: &Drain,
) -> Result<Update, Problem> {
    let mut same = None;
    loop {
        match drain.unless_begun(timeout_at(end, subscription.next())).await {
            Some(Ok(Some(update @ Update::Checkpoint(_)))) => same = Some(update),
            Some(Ok(Some(update))) => return Ok(update),
            Some(Ok(None)) | None => return same.ok_or_else(draining),
            Some(Err(_)) => return Ok(same.ok_or(LiveError::Behind)?),
        }
    }
}

fn frame(update: Update) -> Result<(Token, LiveFrame), Problem> {
    match update {
        Update::Result(answer) => Ok((answer.token(), LiveFrame::result(&answer))),
        Update::Rows(change) => Ok((change.token(), LiveFrame::rows(&change))),
        Update::Checkpoint(answer) => Ok((answer.token(), LiveFrame::checkpoint(&answer))),
        Update::Failed(error) => Err((*error).clone().into()),
        Update::Reset { reason, .. } => {
            Err(Error::new(reason, "the log was replaced while you waited").into())
        }
        _ => Err(not_text()),
    }
}

fn not_text() -> Problem {
    Error::new(ErrorKind::Backend, "an update of a live query cannot be rendered").into()
}

/// Whether the client says that it has the rows with this hash. Its cursor may be another
/// one, which the response's header tells it.
fn has_rows(headers: &HeaderMap, hash: RowsHash) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let mut tags = tags.flat_map(|tags| tags.split(',')).map(str::trim);
    tags.any(|tag| {
        let token = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        token.parse::<Token>().is_ok_and(|token| token.hash == hash)
    })
}
