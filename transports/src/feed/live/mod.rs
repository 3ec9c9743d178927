//! The route of live queries: a page, a long-poll, or an SSE stream.

mod page;
mod request;

use axum::response::Response;
use http::Method;
use http::request::Parts;

use self::request::LiveRequest;
use super::drain::{Drain, draining};
use super::feed::Feed;
use super::reauthorize::RightsWatch;
use super::response::empty_body;
use super::rights::Rights;
use super::sse::{self, LiveSource, Source, StreamOptions};
use crate::headers::accepts_event_stream;
use crate::wire::Problem;

/// Answers `GET /live/{query}`.
pub(super) async fn answer(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
    watch: RightsWatch,
) -> Result<Response, Problem> {
    let request = LiveRequest::parse(feed, parts, rights)?;
    if !accepts_event_stream(&parts.headers) {
        let answering = page::answer(request, parts, rights, &drain);
        return match watch.unless_changed(answering).await {
            Some(answer) => answer,
            None if watch.have_changed() => Err(watch.problem().await),
            None => Err(draining()),
        };
    }
    let live = request.live.clone();
    let watching = drain.unless_begun(live.watch(request.watch));
    let subscription = watching.await.ok_or_else(draining)??;
    if watch.have_changed() {
        return Err(watch.problem().await);
    }
    if parts.method == Method::HEAD {
        return Ok(sse::event_stream(empty_body()));
    }
    let options = StreamOptions::new(feed, rights, drain, watch, request.heartbeat_events);
    let source = Source::Live(Box::new(LiveSource::new(subscription)));
    Ok(sse::stream(parts, source, options))
}
