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

use super::body_progress::{BodyProgress, BodyState};
use super::client_limiter::{ClientLimiter, ClientPermit};
use super::limit_reached::{self, LimitReached};
use super::proxies::TrustedProxies;
use super::request_bodies::RequestBodies;
use super::stats::{Counters, count};
use super::tracked_body::TrackedBody;
use crate::connection::Connection;
use crate::stall_timeout::StallTimeout;

/// Answers the requests of one connection.
pub(super) struct ConnectionService {
    pub(super) router: Router,
    pub(super) connection: Connection,
    pub(super) counters: Arc<Counters>,
    pub(super) bodies: Arc<RequestBodies>,
    pub(super) read_stall_timeout: Duration,
    /// Set if the peer is a trusted proxy, whose connections have the requests of
    /// many clients.
    pub(super) proxied: Option<Box<ProxiedClients>>,
}

/// The clients behind a trusted proxy, which are limited request by request.
pub(super) struct ProxiedClients {
    pub(super) proxies: Arc<TrustedProxies>,
    pub(super) limiter: Option<Arc<ClientLimiter>>,
    /// The permit of a request that upgraded the connection.
    pub(super) upgraded: Arc<OnceLock<ClientPermit>>,
}

type ResponseFuture = BoxFuture<'static, Result<Response, Infallible>>;

impl ConnectionService {
    pub(super) fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let (request, progress) = self.bodies.track(request);
        let response = self.call_tracked(request, progress.clone());
        let Some(progress) = progress else { return response };
        Box::pin(
            async move { response.await.map(|response| close_if_abandoned(response, &progress)) },
        )
    }

    fn call_tracked(
        &self,
        mut request: Request<TrackedBody<Incoming>>,
        progress: Option<Arc<BodyProgress>>,
    ) -> ResponseFuture {
        let mut connection = self.connection.clone();
        let mut permit = None;
        if let Some(proxied) = &self.proxied {
            connection.client = proxied.client(connection.client, request.headers());
            match proxied.acquire(connection.client) {
                Ok(acquired) => permit = acquired,
                Err(limit) => {
                    count(&self.counters.limited);
                    return Box::pin(ready(Ok(limit_reached::response(&request, limit))));
                }
            }
        }
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(connection.peer));
        extensions.insert(connection);
        let counters = Arc::clone(&self.counters);
        let on_stall = move || {
            if let Some(progress) = &progress {
                progress.set(BodyState::Abandoned);
            }
            count(&counters.stalled_bodies);
        };
        let with_timeout = |body| StallTimeout::new(body, self.read_stall_timeout, on_stall);
        // Boxed, because its memory is kept as long as the body.
        let response = Box::pin(self.router.clone().call(request.map(with_timeout)));
        match (permit, &self.proxied) {
            (Some(permit), Some(proxied)) => {
                let upgraded = Arc::clone(&proxied.upgraded);
                Box::pin(async move {
                    response.await.map(|response| with_permit(response, permit, &upgraded))
                })
            }
            _ => response,
        }
    }
}

impl ProxiedClients {
    fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(proxy, headers)
    }

    fn acquire(&self, client: IpAddr) -> Result<Option<ClientPermit>, LimitReached> {
        let Some(limiter) = &self.limiter else { return Ok(None) };
        limiter.acquire(client).map(Some).ok_or(LimitReached::PerClient)
    }
}

/// Adds `Connection: close` if the rest of the request is not read.
fn close_if_abandoned(mut response: Response, progress: &BodyProgress) -> Response {
    if progress.state() == BodyState::Abandoned
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Holds the client's permit until the response body has ended, or the connection
/// if the request upgrades it.
fn with_permit(
    response: Response,
    permit: ClientPermit,
    upgraded: &OnceLock<ClientPermit>,
) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // A connection is upgraded once at most.
        let _ = upgraded.set(permit);
        return response;
    }
    response.map(|body| Body::new(PermitBody { body, _permit: permit }))
}

struct PermitBody {
    body: Body,
    _permit: ClientPermit,
}

impl HttpBody for PermitBody {
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
