//! The WebSocket endpoint.

mod appends;
mod batch_writer;
mod close_frame;
mod close_reason;
mod frame_buffer;
mod frame_head;
mod handshake;
mod message_decoder;
mod message_reader;
mod multiplexer;
mod read_error;
mod session;
mod socket_client;
mod subscriptions;

use std::sync::Arc;

use axum::response::Response;
use downlink::After;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::request::Parts;
use hyper_util::rt::TokioIo;

use self::handshake::Handshake;
use self::session::Session;
use self::socket_client::{CommandError, OpenedSubscription, SocketClient};
use super::drain::Drain;
use super::feed::Feed;
use super::reauthorize::RightsWatch;
use super::rights::Rights;
use super::sse;
use crate::wire::{self, Label, Problem, Query};

/// The label of the subscription in the URL.
const URL_LABEL: &str = "0";

/// A subscription that is being opened.
type Subscribing = BoxFuture<'static, Result<OpenedSubscription, CommandError>>;

/// Answers `GET /feed/ws`: upgrades to a WebSocket.
pub(super) async fn answer(
    feed: &Arc<Feed>,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
    watch: RightsWatch,
) -> Result<Response, Problem> {
    let handshake = Handshake::of(parts)?;
    let watch = Arc::new(watch);
    let client = SocketClient::new(feed, parts, rights, Arc::clone(&watch));
    let rights = rights.clone();
    let subscribing = url_subscription(&client, parts, &rights, &watch).await?;
    let response = handshake.response();
    tokio::spawn(async move {
        match handshake.upgraded().await {
            Ok(io) => {
                let mut session = Session::new(TokioIo::new(io), client, &rights, drain, watch);
                if let Some(subscribing) = subscribing {
                    session.subscribe(url_label(), subscribing);
                }
                session.run().await;
            }
            Err(error) => tracing::debug!(%error, "the client disconnected before the upgrade"),
        }
    });
    Ok(response)
}

fn url_label() -> Label {
    Label::new(URL_LABEL).expect("a digit is a valid label")
}

/// The subscription of the URL's parameters or of `Last-Event-ID`, if there are
/// any. A resume is refused or begun before the socket is; what has to search the
/// log is left to the socket.
async fn url_subscription(
    client: &SocketClient,
    parts: &Parts,
    rights: &Rights,
    watch: &RightsWatch,
) -> Result<Option<Subscribing>, Problem> {
    let query = Query::parse(parts.uri.query(), &sse::PARAMETERS, &client.feed().parameters)?;
    query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = rights.restrict(wire::filter_of_query(&query)?)?;
    watch.check_return(after).await?;
    if query.is_empty() && after == After::Start {
        return Ok(None);
    }
    let subscribing = client.clone().subscribe_with(rights.clone(), after, filter).boxed();
    if let After::Last(_) = after {
        return Ok(Some(subscribing));
    }
    let opened = subscribing.await.map_err(|error| error.problem)?;
    Ok(Some(ready(Ok(opened)).boxed()))
}
