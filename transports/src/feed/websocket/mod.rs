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
use downlink::{After, Subscribe};
use http::request::Parts;
use hyper_util::rt::TokioIo;

use self::handshake::Handshake;
use self::session::Session;
use self::socket_client::{OpenedSubscription, SocketClient};
use super::drain::Drain;
use super::feed::Feed;
use super::rights::Rights;
use super::sse;
use crate::wire::{self, Label, Problem, Query};

/// The label of the subscription in the URL.
const URL_LABEL: &str = "0";

/// Answers `GET /feed/ws`: upgrades to a WebSocket.
pub(super) async fn answer(
    feed: &Arc<Feed>,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
) -> Result<Response, Problem> {
    let handshake = Handshake::of(parts)?;
    let subscription = url_subscription(feed, parts, rights).await?;
    let (client, rights) = (SocketClient::new(feed, parts), rights.clone());
    let response = handshake.response();
    tokio::spawn(async move {
        match handshake.upgraded().await {
            Ok(io) => {
                let mut session = Session::new(TokioIo::new(io), client, &rights, drain);
                if let Some((sub, opened)) = subscription {
                    session.subscribe(sub, opened);
                }
                session.run().await;
            }
            Err(error) => tracing::debug!(%error, "the client disconnected before the upgrade"),
        }
    });
    Ok(response)
}

/// The subscription of the URL's parameters or of `Last-Event-ID`, if there are
/// any.
async fn url_subscription(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
) -> Result<Option<(Label, OpenedSubscription)>, Problem> {
    let query = Query::parse(parts.uri.query(), &sse::PARAMETERS, &feed.parameters)?;
    query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = wire::filter_of_query(&query)?;
    if query.is_empty() && after == After::Start {
        return Ok(None);
    }
    let subscribe = Subscribe::new().with_after(after).with_filter(rights.restrict(filter)?);
    let subscription = Box::new(feed.hub.subscribe(subscribe).await?);
    let sub = Label::new(URL_LABEL).expect("a digit is a valid label");
    Ok(Some((sub, OpenedSubscription { subscription, rights: rights.clone() })))
}
