//! The WebSocket endpoint: who gets a socket, and what happens on it.

mod appends;
mod caller;
mod ending;
mod flow;
mod handshake;
mod outlet;
mod run;
mod session;
mod subscriptions;

use std::sync::Arc;

use axum::response::Response;
use downlink::{After, Subscribe};
use http::request::Parts;
use hyper_util::rt::TokioIo;

use self::caller::{Caller, Opened};
use self::handshake::Handshake;
use self::session::Session;
use super::drain::Drain;
use super::rights::Rights;
use super::{Feed, sse};
use crate::wire::{self, Label, Problem, Query};

/// The subscription that the URL asks for.
const OF_THE_URL: &str = "0";

/// `GET /feed/ws`: a socket, or the reason why there is none.
pub(super) async fn answer(
    feed: &Arc<Feed>,
    parts: &Parts,
    rights: &Rights,
    drain: Drain,
) -> Result<Response, Problem> {
    let handshake = Handshake::of(parts)?;
    let first = first(feed, parts, rights).await?;
    let (caller, rights) = (Caller::new(feed, parts), rights.clone());
    let response = handshake.response();
    tokio::spawn(async move {
        match handshake.upgraded().await {
            Ok(io) => {
                let mut session = Session::new(TokioIo::new(io), caller, &rights, drain).await;
                if let Some((sub, opened)) = first {
                    session.begin(sub, opened);
                }
                session.run().await;
            }
            Err(error) => tracing::debug!(%error, "the client left before it had its socket"),
        }
    });
    Ok(response)
}

/// The subscription that the request asks for, by any parameter or by
/// `Last-Event-ID`.
async fn first(
    feed: &Feed,
    parts: &Parts,
    rights: &Rights,
) -> Result<Option<(Label, Opened)>, Problem> {
    let query = Query::parse(parts.uri.query(), &sse::PARAMETERS, &feed.parameters)?;
    query.heartbeat_is_event()?;
    let after = wire::resume(&parts.headers, &query)?;
    let filter = wire::filter_of_query(&query)?;
    if query.is_empty() && after == After::Start {
        return Ok(None);
    }
    let subscribe = Subscribe::new().after(after).filter(rights.bound(filter)?);
    let subscription = Box::new(feed.hub.subscribe(subscribe).await?);
    let sub = Label::new(OF_THE_URL).expect("a digit is a label");
    Ok(Some((sub, Opened { subscription, rights: rights.clone() })))
}
