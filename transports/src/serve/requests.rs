use std::convert::Infallible;
use std::future::ready;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service;

use super::bodies::Bodies;
use super::clients::{Clients, Place};
use super::fate::{Fate, Phase};
use super::proxies::TrustedProxies;
use super::refusal::{self, Why};
use super::stats::{Counters, count};
use super::watched::Watched;
use crate::Connection;
use crate::stall_timeout::StallTimeout;

/// What answers the requests of one connection.
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) connection: Connection,
    pub(super) counters: Arc<Counters>,
    pub(super) bodies: Arc<Bodies>,
    /// How long a body may come to a halt.
    pub(super) read_stall: Duration,
    /// If the peer is a proxy: everybody's requests come on its connections.
    pub(super) proxied: Option<Box<Proxied>>,
}

/// A connection of a trusted proxy.
pub(super) struct Proxied {
    pub(super) proxies: Arc<TrustedProxies>,
    pub(super) clients: Option<Arc<Clients>>,
    /// What a client has open that is no request any more.
    pub(super) upgraded: Arc<OnceLock<Place>>,
}

type Answer = BoxFuture<'static, Result<Response, Infallible>>;

impl Requests {
    pub(super) fn answer(&self, request: Request<Incoming>) -> Answer {
        let (request, fate) = self.bodies.watch(request);
        let answer = self.answer_watched(request, fate.clone());
        let Some(fate) = fate else { return answer };
        Box::pin(async move { answer.await.map(|answer| closing(answer, &fate)) })
    }

    fn answer_watched(
        &self,
        mut request: Request<Watched<Incoming>>,
        fate: Option<Arc<Fate>>,
    ) -> Answer {
        let mut connection = self.connection.clone();
        let mut place = None;
        if let Some(proxied) = &self.proxied {
            connection.client = proxied.client(connection.client, request.headers());
            match proxied.admit(connection.client) {
                Ok(admitted) => place = admitted,
                Err(why) => {
                    count(&self.counters.limited);
                    return Box::pin(ready(Ok(refusal::answer(&request, why))));
                }
            }
        }
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(connection.peer));
        extensions.insert(connection);
        let counters = Arc::clone(&self.counters);
        let on_halt = move || {
            if let Some(fate) = &fate {
                fate.set(Phase::Left);
            }
            count(&counters.halted_bodies);
        };
        let steady = |body| StallTimeout::new(body, self.read_stall, on_halt);
        // Boxed, because its place is kept for as long as the body lasts.
        let answer = Box::pin(self.router.clone().call(request.map(steady)));
        match (place, &self.proxied) {
            (Some(place), Some(proxied)) => {
                let upgraded = Arc::clone(&proxied.upgraded);
                Box::pin(async move { answer.await.map(|answer| held(answer, place, &upgraded)) })
            }
            _ => answer,
        }
    }
}

impl Proxied {
    fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(proxy, headers)
    }

    fn admit(&self, client: IpAddr) -> Result<Option<Place>, Why> {
        let Some(clients) = &self.clients else { return Ok(None) };
        clients.admit(client).map(Some).ok_or(Why::Client)
    }
}

/// The answer, which says so if the rest of its request is not read.
fn closing(mut answer: Response, fate: &Fate) -> Response {
    if fate.phase() == Phase::Left && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// The answer, with the client's place held until its body has ended, or its
/// connection if the request became one of another protocol.
fn held(answer: Response, place: Place, upgraded: &OnceLock<Place>) -> Response {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        // There is no second upgrade of one connection.
        let _ = upgraded.set(place);
        return answer;
    }
    answer.map(|body| Body::new(Held { body, _place: place }))
}

struct Held {
    body: Body,
    _place: Place,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
