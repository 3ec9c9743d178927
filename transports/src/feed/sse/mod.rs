//! The SSE endpoint.

mod body;
mod opening;
mod source;
mod stream;
mod sync_future;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use downlink::transport::Frame;
use downlink::{After, Cursor, Error, Filter, Read, Subscribe};
use futures::FutureExt;
use http::Method;
use http::request::Parts;
use tokio::time::Instant;
use tracing::warn;

use self::body::SseBody;
use self::opening::Opening;
pub(super) use self::source::{LiveSource, Source};
use self::stream::SseStream;
use self::sync_future::SyncFuture;
use super::drain::Drain;
use super::feed::Feed;
use super::reauthorize::{RightsChange, RightsWatch};
use super::reconnect::{jitter, reconnect_after};
use super::response::{close_connection, empty_body};
use super::rights::Rights;
use super::stream_deadline::StreamDeadline;
use crate::headers::{is_event_source, set_event_stream};
use crate::takeover;
use crate::wire::{self, Code, Problem, Query, Renderer};

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
    watch: RightsWatch,
) -> Result<Response, Problem> {
    let query = Query::parse(parts.uri.query(), &PARAMETERS, &feed.parameters)?;
    let heartbeat_events = query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.restrict(wire::filter_of_query(&query)?)?;
    watch.check_return(after).await?;
    if parts.method == Method::HEAD {
        verify(feed, after, filter).await?;
        return Ok(event_stream(empty_body()));
    }
    let subscribe = Subscribe::new().with_after(after).with_filter(filter);
    let subscribe = subscribe.with_budget(feed.budget(parts));
    let options = StreamOptions::new(feed, rights, drain, watch, heartbeat_events);
    let stream = if let After::Last(_) = after {
        // Where it begins has to be searched for, which takes turns with other reads.
        SseStream::Begun(Box::new(Opening::new(&feed.hub, subscribe, options)))
    } else {
        let source = Source::Log(feed.hub.subscribe(subscribe).await?);
        SseStream::Open(Box::new(SseBody::new(source, options)))
    };
    Ok(respond(parts, stream))
}

/// Answers with a stream of this source.
pub(super) fn stream(parts: &Parts, source: Source, options: StreamOptions) -> Response {
    respond(parts, SseStream::Open(Box::new(SseBody::new(source, options))))
}

fn respond(parts: &Parts, stream: SseStream) -> Response {
    let mut response = event_stream(stream.into_body());
    takeover::accept(&parts.extensions, response.extensions_mut());
    response
}

/// What a stream is opened with, in addition to its subscription.
pub(super) struct StreamOptions {
    heartbeat: Duration,
    heartbeat_events: bool,
    deadline: StreamDeadline,
    drain: Drain,
    watch: Arc<RightsWatch>,
    renderer: Renderer,
    /// Whether the client has received a comment already.
    has_begun: bool,
}

/// Why a stream ends that could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Draining,
    RightsChanged,
}

/// A comment. Proxies forward the headers of a response when its body begins.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

impl StreamOptions {
    pub(super) fn new(
        feed: &Feed,
        rights: &Rights,
        drain: Drain,
        watch: RightsWatch,
        heartbeat_events: bool,
    ) -> Self {
        Self {
            heartbeat: feed.heartbeat,
            heartbeat_events,
            deadline: StreamDeadline::new(feed.rotation, rights, Instant::now()),
            drain,
            watch: Arc::new(watch),
            renderer: feed.renderer.clone(),
            has_begun: false,
        }
    }

    /// Completes when the server drains or the rights change.
    fn ends(&self) -> SyncFuture<Ending> {
        let (drain, watch) = (self.drain.clone().begins_owned(), Arc::clone(&self.watch));
        let Some(ends) = watch.ends().cloned() else {
            return SyncFuture::new(drain.map(|()| Ending::Draining));
        };
        SyncFuture::new(async move {
            tokio::select! {
                biased;
                () = ends.cancelled() => {}
                () = drain => {}
            }
            if watch.have_changed() { Ending::RightsChanged } else { Ending::Draining }
        })
    }

    fn heartbeat_block(&self, head: Cursor) -> Bytes {
        if self.heartbeat_events {
            wire::frame_block(&Frame::Heartbeat { head }, None)
        } else {
            COMMENT
        }
    }
}

/// The last frame: why the stream ends, and when to reconnect.
fn bye(reason: &str) -> Bytes {
    let reconnect_after = reconnect_after(reason);
    wire::frame_block(&Frame::Bye { reason: reason.to_owned(), reconnect_after }, None)
}

/// The last frame of a stream whose rights have changed.
async fn rights_changed(watch: Arc<RightsWatch>, head: Cursor) -> Bytes {
    match watch.change().await {
        RightsChange::Narrower => bye("rights"),
        RightsChange::Wider => {
            let reason = Code::RightsChanged.to_string();
            wire::frame_block(&Frame::Reset { reason, head }, None)
        }
    }
}

/// The last frames of a stream that cannot go on.
fn ended_by(error: Error) -> Bytes {
    warn!(%error, "a stream ended because the log cannot be read");
    let problem = Problem::from(error);
    let bye = bye(problem.code().as_str());
    [wire::frame_block(&problem.to_frame(), None), bye].concat().into()
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

pub(super) fn event_stream(body: Body) -> Response {
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
