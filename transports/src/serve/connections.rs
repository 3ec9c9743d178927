use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use downlink::budget::ByteBudget;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept;
use super::body_progress::BodyState;
use super::client_limiter::{ClientLimiter, ClientPermit};
use super::connection_permit::ConnectionPermit;
use super::connection_service::{ConnectionService, ProxiedClients};
use super::discard::{DiscardLimits, DiscardOutcome};
use super::limit_reached::LimitReached;
use super::limits::Limits;
use super::liveness::{LivenessLimits, Verdict};
use super::parse_error::ParseErrorStatus;
use super::proxies::TrustedProxies;
use super::request_bodies::RequestBodies;
use super::socket::Socket;
use super::stats::{Counters, count};
use super::stream_connection::{HttpEnd, run_http};
use super::sweeper::Sweeper;
use super::watched::Watched;
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
    stuck_timeout: Duration,
    pub(super) sweeper: Sweeper,
    pub(super) discard_limits: DiscardLimits,
    /// The bytes that are held for all peers.
    pub(super) budget: ByteBudget,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    client_limiter: Option<Arc<ClientLimiter>>,
    proxies: Option<Arc<TrustedProxies>>,
    pub(super) counters: Arc<Counters>,
    /// The sockets that are open.
    pub(super) open: TaskTracker,
    tasks: TaskTracker,
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
        let LivenessLimits { head, stuck, .. } = limits.liveness;
        let mut http = http1::Builder::new();
        // Without a timer, because the sweeper judges how long a head takes.
        http.header_read_timeout(None).max_buf_size(MAX_BUFFER);
        let mut http_once = http.clone();
        http_once.timer(TokioTimer::new()).keep_alive(false);
        http_once.header_read_timeout(head.min(SINGLE_REQUEST_TIMEOUT));
        let sweeper = Sweeper::new(limits.liveness, limits.budget.clone(), Arc::clone(&counters));
        Self {
            router,
            http,
            http_once,
            read_stall_timeout: limits.read_stall_timeout,
            stuck_timeout: stuck,
            sweeper,
            discard_limits: limits.linger,
            budget: limits.budget,
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            client_limiter: limits.max_per_client.map(|limit| Arc::new(ClientLimiter::new(limit))),
            proxies: limits.trusted_proxies.map(Arc::new),
            counters,
            open: TaskTracker::new(),
            tasks: TaskTracker::new(),
            late: TaskTracker::new(),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Serves an accepted connection in its own task, or refuses it if a limit is
    /// reached.
    pub(super) fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        count(&self.counters.accepted);
        if let Err(error) = accept::set_options(&stream) {
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
        let mut service = self.service(peer, &socket, self.discard_limits);
        service.proxied = proxied;
        if is_late { self.drive_once(socket, service) } else { self.drive(socket, service) }
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
        let is_late = self.drain.is_cancelled();
        let socket = self.socket(stream, permit, (None, None), is_late);
        // A short time, because there are few permits for refusals.
        let timeout = self.discard_limits.timeout.min(SINGLE_REQUEST_TIMEOUT);
        let limits = DiscardLimits { timeout, ..self.discard_limits };
        let mut service = self.service(peer, &socket, limits);
        service.refused = Some(limit);
        self.drive_once(socket, service);
    }

    /// The service of a connection that is neither refused nor that of a proxy.
    fn service(
        &self,
        peer: SocketAddr,
        socket: &Socket,
        limits: DiscardLimits,
    ) -> ConnectionService {
        // A child token, so that connections do not contend for one lock at every event.
        let drain = self.drain.child_token();
        let exchange = Arc::clone(&socket.watched().exchange);
        let budget = self.budget.clone();
        ConnectionService {
            router: self.router.clone(),
            bodies: RequestBodies::new(limits, drain.clone(), budget.clone(), exchange.clone()),
            connection: Connection::new(peer, drain).with_budget(budget),
            counters: Arc::clone(&self.counters),
            exchange,
            read_stall_timeout: self.read_stall_timeout,
            hands_over: false,
            proxied: None,
            refused: None,
        }
    }

    fn socket(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        clients: (Option<ClientPermit>, Option<Arc<OnceLock<ClientPermit>>>),
        is_late: bool,
    ) -> Socket {
        let tracker = if is_late { &self.late } else { &self.open };
        let counters = Arc::clone(&self.counters);
        let permit = ConnectionPermit::new(permit, tracker.token(), clients, counters);
        let watched = Arc::new(Watched::new(stream));
        self.sweeper.watch(&watched);
        Socket::new(watched, self.stuck_timeout, permit)
    }

    fn drive(self: &Arc<Self>, socket: Socket, mut service: ConnectionService) {
        service.hands_over = true;
        let Connection { peer, drain, .. } = service.connection.clone();
        let (watched, bodies) = (Arc::clone(socket.watched()), Arc::clone(&service.bodies));
        let service = service_fn(move |request| service.call(request));
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        let mut connection = connection.with_upgrades();
        let shared = Arc::clone(self);
        // Boxed, because its memory is free once the server writes a stream itself. One
        // block, so that the connection is not moved into another future and stored twice.
        let http = Box::pin(async move {
            let run = run_http(&watched, &mut connection);
            let ended = if let Some(ended) = drain.run_until_cancelled(run).await {
                ended
            } else {
                Pin::new(&mut connection).graceful_shutdown();
                run_http(&watched, &mut connection).await
            };
            drop(watched);
            // A connection that was upgraded has no parts.
            let parts = connection.into_parts();
            let left = parts.map(|parts| (parts.io.into_inner(), !parts.read_buf.is_empty()));
            let ended = match (ended, left) {
                (Ok(HttpEnd::HandedOver(response)), Some((socket, _))) => {
                    return Some((socket, response));
                }
                (Ok(HttpEnd::Closed(ended)), Some((socket, has_more))) => {
                    Box::pin(shared.close(socket, &bodies, &ended, has_more)).await;
                    Ok(ended)
                }
                (ended, _) => ended.map(HttpEnd::closed),
            };
            shared.count_end(peer, ended);
            None
        });
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let handed_over = http.await;
            if let Some((socket, response)) = handed_over {
                shared.stream(peer, socket, response).await;
            }
        });
    }

    /// Serves one request, and closes the connection.
    fn drive_once(self: &Arc<Self>, socket: Socket, service: ConnectionService) {
        let Connection { peer, .. } = service.connection;
        let (watched, bodies) = (Arc::clone(socket.watched()), Arc::clone(&service.bodies));
        let service = service_fn(move |request| service.call(request));
        let mut connection = self.http_once.serve_connection(TokioIo::new(socket), service);
        let shared = Arc::clone(self);
        // Not tracked beyond its socket's token: the drain does not wait for late connections.
        self.late.spawn(async move {
            let ended = watched.run(&mut connection).await;
            drop(watched);
            if let Ok(ended) = &ended {
                let parts = connection.into_parts();
                let has_more = !parts.read_buf.is_empty();
                shared.close(parts.io.into_inner(), &bodies, ended, has_more).await;
            }
            shared.count_end(peer, ended);
        });
    }

    /// Closes a socket after its last response, with a lingering close if the peer
    /// may still be sending. `has_more` is whether bytes were read that belong to
    /// no request.
    async fn close(
        &self,
        mut socket: Socket,
        bodies: &RequestBodies,
        ended: &hyper::Result<()>,
        has_more: bool,
    ) {
        let state = bodies.last_state().await;
        let may_be_sending = match ended {
            Ok(()) => {
                let is_incomplete = matches!(state, BodyState::Abandoned | BodyState::InHandler);
                has_more || is_incomplete || socket.watched().has_unread()
            }
            Err(error) => error.is_parse(),
        };
        let outcome = if state == BodyState::OverLimit {
            Some(DiscardOutcome::LimitReached)
        } else if may_be_sending {
            let linger_timeout = self.discard_limits.timeout;
            let closed = async {
                if let Err(error) = ended {
                    let answer = answer_parse_error(&mut socket, error);
                    // Nothing is lost but a text for a peer that does not read.
                    let _ = timeout(linger_timeout, answer).await;
                }
                bodies.lingering_close(socket).await
            };
            self.abort.run_until_cancelled(closed).await
        } else {
            Some(DiscardOutcome::All)
        };
        self.count_linger(outcome);
    }

    /// Counts how a lingering close ended; `None` if the drain's deadline did.
    pub(super) fn count_linger(&self, outcome: Option<DiscardOutcome>) {
        match outcome {
            Some(DiscardOutcome::All) => {}
            Some(DiscardOutcome::LimitReached) => count(&self.counters.still_sending),
            None => count(&self.counters.aborted),
        }
    }

    /// Counts how a connection ended.
    fn count_end(&self, peer: SocketAddr, ended: Result<hyper::Result<()>, Verdict>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                if error.is_timeout() {
                    count(&self.counters.header_timeouts);
                }
                tracing::debug!(%peer, %error, "a connection ended early");
            }
            Err(verdict) => self.count_verdict(peer, verdict),
        }
    }

    pub(super) fn count_verdict(&self, peer: SocketAddr, verdict: Verdict) {
        match verdict {
            Verdict::HeadTimeout => count(&self.counters.header_timeouts),
            Verdict::Aborted => count(&self.counters.aborted),
            Verdict::Dead | Verdict::Stuck | Verdict::Idle | Verdict::Gone => {}
        }
        tracing::debug!(%peer, ?verdict, "a connection was closed");
    }

    /// Closes at once what is still open, also what lingers.
    pub(super) fn abort_all(&self) {
        self.abort.cancel();
        self.sweeper.abort_all();
    }

    /// Waits until every connection has ended, except those accepted during the
    /// drain.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn ended(&self) {
        self.open.close();
        self.tasks.close();
        self.open.wait().await;
        self.tasks.wait().await;
    }
}

/// Answers a request that hyper could not parse.
async fn answer_parse_error(socket: &mut Socket, error: &hyper::Error) {
    let status = match socket.take_parse_error() {
        None if error.is_parse_version_h2() => ParseErrorStatus::Malformed,
        None => return,
        Some(status) => status,
    };
    let response = status.response(socket.is_head_request());
    // If this fails, the peer is gone.
    let _ = socket.write_all(response).await;
}
