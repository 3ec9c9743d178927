use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use downlink::budget::ByteBudget;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept;
use super::body_progress::BodyState;
use super::client_limiter::{ClientLimiter, ClientPermit};
use super::connection_permit::ConnectionPermit;
use super::connection_service::{ConnectionService, ProxiedClients};
use super::discard::{DiscardLimits, DiscardOutcome};
use super::limit_reached::{self, LimitReached};
use super::limits::Limits;
use super::lingering_close;
use super::proxies::TrustedProxies;
use super::request_bodies::RequestBodies;
use super::stats::{Counters, count};
use super::timed_socket::TimedSocket;
use crate::connection::Connection;

/// The limit of a request's head, and of hyper's buffers, in bytes. A filter of 8
/// KiB fits next to the headers of a browser, even if all of it is
/// percent-encoded. The buffers begin smaller and grow to this size.
const MAX_BUFFER: usize = 48 << 10;

/// How many connections beyond the limit get a response at a time. More are
/// closed, so that they cannot keep the next one from being accepted.
const MAX_REFUSALS: usize = 64;

/// How long a connection that gets only one response has to send its request.
const SINGLE_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections of one server, and the state they share.
pub(super) struct Connections {
    router: Router,
    http: http1::Builder,
    /// For connections that get only one response: those beyond a limit, and those
    /// accepted during the drain.
    http_once: http1::Builder,
    read_stall_timeout: Duration,
    write_stall_timeout: Duration,
    discard_limits: DiscardLimits,
    /// The bytes that are held for all peers.
    pub(super) budget: ByteBudget,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    client_limiter: Option<Arc<ClientLimiter>>,
    proxies: Option<Arc<TrustedProxies>>,
    pub(super) counters: Arc<Counters>,
    pub(super) open: TaskTracker,
    /// Connections accepted during the drain, which does not wait for them.
    late: TaskTracker,
    /// Cancelled to end everything gracefully.
    pub(super) drain: CancellationToken,
    /// Cancelled to close at once what still drains.
    pub(super) abort: CancellationToken,
}

/// A connection within the limits.
struct Admitted {
    permit: OwnedSemaphorePermit,
    client: Option<ClientPermit>,
    proxied: Option<Box<ProxiedClients>>,
}

impl Connections {
    pub(super) fn new(router: Router, limits: Limits, counters: Arc<Counters>) -> Self {
        let timeout = limits.header_timeout;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(MAX_BUFFER);
        let mut http_once = http.clone();
        http_once.keep_alive(false).header_read_timeout(timeout.min(SINGLE_REQUEST_TIMEOUT));
        Self {
            router,
            http,
            http_once,
            read_stall_timeout: limits.read_stall_timeout,
            write_stall_timeout: limits.write_stall_timeout,
            discard_limits: limits.linger,
            budget: limits.budget,
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            client_limiter: limits.max_per_client.map(|limit| Arc::new(ClientLimiter::new(limit))),
            proxies: limits.trusted_proxies.map(Arc::new),
            counters,
            open: TaskTracker::new(),
            late: TaskTracker::new(),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Serves an accepted connection in its own task, or refuses it if a limit is
    /// reached.
    pub(super) fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        count(&self.counters.accepted);
        if let Err(error) = accept::set_options(&stream, self.write_stall_timeout) {
            tracing::debug!(%peer, %error, "the connection ended before it was served");
            return;
        }
        match self.admit(peer) {
            Ok(admitted) => self.serve(stream, peer, admitted),
            Err(limit) => self.refuse(stream, peer, limit),
        }
    }

    fn admit(&self, peer: SocketAddr) -> Result<Admitted, LimitReached> {
        let trusted = self.proxies.as_ref().filter(|proxies| proxies.trust(peer.ip()));
        let proxied = trusted.map(|proxies| {
            let (proxies, limiter) = (Arc::clone(proxies), self.client_limiter.clone());
            Box::new(ProxiedClients { proxies, limiter, upgraded: Arc::default() })
        });
        let client = match &self.client_limiter {
            Some(limiter) if proxied.is_none() => {
                Some(limiter.acquire(peer.ip()).ok_or(LimitReached::PerClient)?)
            }
            _ => None,
        };
        let permit =
            Arc::clone(&self.permits).try_acquire_owned().map_err(|_| LimitReached::Connections)?;
        Ok(Admitted { permit, client, proxied })
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, admitted: Admitted) {
        let Admitted { permit, client, proxied } = admitted;
        let is_late = self.drain.is_cancelled();
        let upgraded = proxied.as_ref().map(|proxied| Arc::clone(&proxied.upgraded));
        let socket = self.socket(stream, permit, (client, upgraded), is_late);
        // A child token, so that connections do not contend for one lock at every event.
        let drain = self.drain.child_token();
        let bodies = RequestBodies::new(self.discard_limits, drain.clone());
        let service = ConnectionService {
            router: self.router.clone(),
            bodies: Arc::clone(&bodies),
            connection: Connection::new(peer, drain.clone()).with_budget(self.budget.clone()),
            counters: Arc::clone(&self.counters),
            read_stall_timeout: self.read_stall_timeout,
            proxied,
        };
        let service = service_fn(move |request| service.call(request));
        if is_late {
            self.drive_once(socket, peer, bodies, service);
        } else {
            self.drive(socket, peer, bodies, drain, service);
        }
    }

    fn refuse(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, limit: LimitReached) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            count(&self.counters.dropped);
            tracing::debug!(%peer, "too many connections: this one is closed without a response");
            return;
        };
        count(match limit {
            LimitReached::Connections => &self.counters.refused,
            LimitReached::PerClient => &self.counters.limited,
        });
        tracing::debug!(%peer, ?limit, "a limit is reached: this connection is refused");
        let socket = self.socket(stream, permit, (None, None), self.drain.is_cancelled());
        // A short time, because there are few permits for refusals.
        let timeout = self.discard_limits.timeout.min(SINGLE_REQUEST_TIMEOUT);
        let limits = DiscardLimits { timeout, ..self.discard_limits };
        let bodies = RequestBodies::new(limits, self.drain.child_token());
        let tracker = Arc::clone(&bodies);
        let respond = move |request: Request<Incoming>| {
            let (request, _) = tracker.track(request);
            ready(Ok::<_, Infallible>(limit_reached::closing_response(&request, limit)))
        };
        self.drive_once(socket, peer, bodies, service_fn(respond));
    }

    fn socket(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        clients: (Option<ClientPermit>, Option<Arc<OnceLock<ClientPermit>>>),
        is_late: bool,
    ) -> TimedSocket<TcpStream, ConnectionPermit> {
        let tracker = if is_late { &self.late } else { &self.open };
        let counters = Arc::clone(&self.counters);
        let permit = ConnectionPermit::new(permit, tracker.token(), clients, counters);
        TimedSocket::new(stream, self.write_stall_timeout, accept::abort_on_close, permit)
    }

    fn drive<S>(
        self: &Arc<Self>,
        socket: TimedSocket<TcpStream, ConnectionPermit>,
        peer: SocketAddr,
        bodies: Arc<RequestBodies>,
        drain: CancellationToken,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        let mut connection = connection.with_upgrades();
        let shared = Arc::clone(self);
        // One block, so that the connection is not moved into another future and stored twice.
        self.open.spawn(async move {
            let mut ended = drain.run_until_cancelled(&mut connection).await;
            if ended.is_none() {
                Pin::new(&mut connection).graceful_shutdown();
                ended = shared.abort.run_until_cancelled(&mut connection).await;
            }
            // A connection that was upgraded has no parts.
            if let (Some(ended), Some(parts)) = (&ended, connection.into_parts()) {
                let has_more = !parts.read_buf.is_empty();
                let socket = parts.io.into_inner();
                Box::pin(shared.close(socket, &bodies, ended, has_more)).await;
            }
            shared.ended(peer, ended);
        });
    }

    /// Serves one request, and closes the connection.
    fn drive_once<S>(
        self: &Arc<Self>,
        socket: TimedSocket<TcpStream, ConnectionPermit>,
        peer: SocketAddr,
        bodies: Arc<RequestBodies>,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let mut connection = self.http_once.serve_connection(TokioIo::new(socket), service);
        let shared = Arc::clone(self);
        // Not tracked beyond its socket's token: the drain does not wait for late connections.
        self.late.spawn(async move {
            let ended = shared.abort.run_until_cancelled(&mut connection).await;
            if let Some(ended) = &ended {
                let parts = connection.into_parts();
                let has_more = !parts.read_buf.is_empty();
                shared.close(parts.io.into_inner(), &bodies, ended, has_more).await;
            }
            shared.ended(peer, ended);
        });
    }

    /// Closes a socket after its last response, with a lingering close if the peer
    /// may still be sending. `has_more` is whether bytes were read that belong to
    /// no request.
    async fn close(
        &self,
        socket: TimedSocket<TcpStream, ConnectionPermit>,
        bodies: &RequestBodies,
        ended: &hyper::Result<()>,
        has_more: bool,
    ) {
        let state = bodies.last_state().await;
        let may_be_sending = match ended {
            Ok(()) => {
                let is_incomplete = matches!(state, BodyState::Abandoned | BodyState::InHandler);
                has_more || is_incomplete || lingering_close::has_unread(socket.get_ref())
            }
            Err(error) => error.is_parse(),
        };
        let outcome = if state == BodyState::OverLimit {
            Some(DiscardOutcome::LimitReached)
        } else if may_be_sending {
            self.abort.run_until_cancelled(bodies.lingering_close(socket)).await
        } else {
            Some(DiscardOutcome::All)
        };
        match outcome {
            Some(DiscardOutcome::All) => {}
            Some(DiscardOutcome::LimitReached) => count(&self.counters.still_sending),
            None => count(&self.counters.aborted),
        }
    }

    /// Counts how a connection ended; `None` if it was closed by the drain.
    fn ended(&self, peer: SocketAddr, ended: Option<hyper::Result<()>>) {
        match ended {
            None => count(&self.counters.aborted),
            Some(Ok(())) => {}
            Some(Err(error)) => {
                if error.is_timeout() {
                    count(&self.counters.header_timeouts);
                }
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        }
    }
}
