use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tower::Service;

use super::body_progress::{BodyProgress, BodyState};
use super::client_limiter::{ClientLimiter, ClientPermit};
use super::exchange::{Exchange, Phase};
use super::handover::HandedOver;
use super::limit_reached::{self, LimitReached};
use super::over_budget;
use super::proxies::TrustedProxies;
use super::request_bodies::RequestBodies;
use super::response_body::ResponseBody;
use super::stats::{Counters, count};
use crate::connection::Connection;
use crate::stall_timeout::StallTimeout;
use crate::takeover;

/// Answers the requests of one connection.
pub(super) struct ConnectionService {
    pub(super) router: Router,
    pub(super) connection: Connection,
    pub(super) counters: Arc<Counters>,
    pub(super) bodies: Arc<RequestBodies>,
    pub(super) exchange: Arc<Exchange>,
    pub(super) read_stall_timeout: Duration,
    /// Whether the connection's task takes over responses that last.
    pub(super) hands_over: bool,
    /// Set if the peer is a trusted proxy, whose connections have the requests of
    /// many clients.
    pub(super) proxied: Option<Box<ProxiedClients>>,
    /// Set if the connection is beyond a limit.
    pub(super) refused: Option<LimitReached>,
}

/// The clients behind a trusted proxy, which are limited request by request.
pub(super) struct ProxiedClients {
    pub(super) proxies: Arc<TrustedProxies>,
    pub(super) limiter: Option<Arc<ClientLimiter>>,
    /// The permit of a request that upgraded the connection.
    pub(super) upgraded: Arc<OnceLock<ClientPermit>>,
}

pub(super) type ResponseFuture = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

impl ConnectionService {
    pub(super) fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let (mut request, progress) = self.bodies.track(request);
        let mut connection = self.connection.clone();
        let admitted = self.admit(&mut connection, request.headers());
        // What is left of a body could not be read without hyper.
        let hands_over = self.hands_over && request.method() == Method::GET && progress.is_none();
        let extensions = request.extensions_mut();
        if hands_over {
            takeover::offer(extensions);
        }
        extensions.insert(ConnectInfo(connection.peer));
        extensions.insert(connection);
        let finish = Finish {
            is_connect: request.method() == Method::CONNECT,
            exchange: Arc::clone(&self.exchange),
            progress,
            counters: Arc::clone(&self.counters),
        };
        let mut router = self.router.clone();
        let permit = match admitted {
            Ok(permit) => permit,
            Err(limit) => {
                let response = limit_reached::response(router, request, limit);
                return Box::pin(async move { Ok(finish.apply(response.await, None)) });
            }
        };
        let on_stall = finish.on_stall();
        let with_timeout = |body| StallTimeout::new(body, self.read_stall_timeout, on_stall);
        let response = router.call(request.map(with_timeout));
        let upgraded = self.proxied.as_ref().map(|proxied| Arc::clone(&proxied.upgraded));
        // Boxed, because its memory is kept as long as the body.
        Box::pin(async move {
            let Ok(response) = response.await;
            let permit = keep_if_upgraded(permit, &response, upgraded.as_deref());
            if hands_over && HandedOver::accepts(&response) {
                finish.exchange.hand_over(HandedOver { response, permit });
                // The connection's task drops hyper, and this future with it.
                return std::future::pending().await;
            }
            Ok(finish.apply(response, permit))
        })
    }

    /// The permit of the request, if its client has a limit.
    fn admit(
        &self,
        connection: &mut Connection,
        headers: &HeaderMap,
    ) -> Result<Option<ClientPermit>, LimitReached> {
        if let Some(limit) = self.refused {
            return Err(limit);
        }
        let Some(proxied) = &self.proxied else { return Ok(None) };
        connection.client = proxied.client(connection.client, headers);
        let acquired = proxied.acquire(connection.client);
        if acquired.is_err() {
            count(&self.counters.limited);
        }
        acquired
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

/// What becomes of every response.
struct Finish {
    is_connect: bool,
    exchange: Arc<Exchange>,
    progress: Option<Arc<BodyProgress>>,
    counters: Arc<Counters>,
}

impl Finish {
    /// What happens if the request's body stalls.
    fn on_stall(&self) -> impl FnMut() + Send + Unpin + 'static {
        let (progress, counters) = (self.progress.clone(), Arc::clone(&self.counters));
        move || {
            if let Some(progress) = &progress {
                progress.set(BodyState::Abandoned);
            }
            count(&counters.stalled_bodies);
        }
    }

    fn apply(
        &self,
        mut response: Response,
        permit: Option<ClientPermit>,
    ) -> Response<ResponseBody> {
        if let Some(progress) = &self.progress {
            if progress.is_refused() {
                count(&self.counters.over_budget);
                // A handler that succeeds without the rest has perhaps stored something.
                if response.status().is_client_error() || response.status().is_server_error() {
                    response = over_budget::response(&response);
                }
            }
            close_if_abandoned(&mut response, progress);
        }
        self.exchange.responded(self.phase(&response));
        response.map(|body| ResponseBody::new(body, Arc::clone(&self.exchange), permit))
    }

    fn phase(&self, response: &Response) -> Phase {
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE);
        if status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success() {
            Phase::Upgraded
        } else if content_type.is_some_and(|value| value.as_bytes() == b"text/event-stream") {
            Phase::EventStream
        } else {
            Phase::Responding
        }
    }
}

/// Adds `Connection: close` if the rest of the request is not read.
fn close_if_abandoned(response: &mut Response, progress: &BodyProgress) {
    if progress.state() == BodyState::Abandoned
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Keeps the permit as long as the connection if the request upgrades it, and
/// returns it otherwise.
fn keep_if_upgraded(
    permit: Option<ClientPermit>,
    response: &Response,
    upgraded: Option<&OnceLock<ClientPermit>>,
) -> Option<ClientPermit> {
    match (permit, upgraded) {
        (Some(permit), Some(upgraded)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            // A connection is upgraded once at most.
            let _ = upgraded.set(permit);
            None
        }
        (permit, _) => permit,
    }
}
