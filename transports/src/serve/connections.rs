use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
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
use super::bodies::Bodies;
use super::clients::{Clients, Place};
use super::discard::{Discard, Discarded};
use super::fate::Phase;
use super::limits::Limits;
use super::linger;
use super::proxies::TrustedProxies;
use super::refusal::{self, Why};
use super::requests::{Proxied, Requests};
use super::slot::Slot;
use super::socket::Socket;
use super::stats::{Counters, count};
use crate::Connection;

/// The head of a request, and what is read or written at a time, in bytes.
/// A filter of 8 KiB fits beside the headers of a browser, also when every
/// byte of it is percent-encoded. The buffers begin smaller and grow to it.
const BUFFER: usize = 48 << 10;

/// How many connections beyond the limit are told so at a time. More than that
/// are closed: nobody may keep the next one from being accepted.
const REFUSALS: usize = 64;

/// How long a connection that gets one answer has to say what it wants.
const ONE_ANSWER: Duration = Duration::from_secs(1);

/// All connections of one server, and what they share.
pub(super) struct Connections {
    router: Router,
    http: http1::Builder,
    /// For connections that get one answer: beyond a limit, and during the
    /// drain.
    once: http1::Builder,
    read_stall: Duration,
    write_stall: Duration,
    discard: Discard,
    slots: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    clients: Option<Arc<Clients>>,
    proxies: Option<Arc<TrustedProxies>>,
    pub(super) counters: Arc<Counters>,
    pub(super) open: TaskTracker,
    /// Connections that came during the drain, which does not wait for them.
    late: TaskTracker,
    /// Cancelled to let everything end in good order.
    pub(super) drain: CancellationToken,
    /// Cancelled to end at once what drains.
    pub(super) cut: CancellationToken,
}

/// A connection that was let in.
struct Admitted {
    permit: OwnedSemaphorePermit,
    place: Option<Place>,
    proxied: Option<Box<Proxied>>,
}

impl Connections {
    pub(super) fn new(router: Router, limits: Limits, counters: Arc<Counters>) -> Self {
        let timeout = limits.header_timeout;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(BUFFER);
        let mut once = http.clone();
        once.keep_alive(false).header_read_timeout(timeout.min(ONE_ANSWER));
        Self {
            router,
            http,
            once,
            read_stall: limits.read_stall,
            write_stall: limits.write_stall,
            discard: limits.discard,
            slots: Arc::new(Semaphore::new(limits.connections)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            clients: limits.per_client.map(|limit| Arc::new(Clients::new(limit))),
            proxies: limits.proxies.map(Arc::new),
            counters,
            open: TaskTracker::new(),
            late: TaskTracker::new(),
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Serves an accepted connection in a task of its own, or tells it to come
    /// again.
    pub(super) fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        count(&self.counters.accepted);
        if let Err(error) = accept::tune(&stream, self.write_stall) {
            tracing::debug!(%peer, %error, "the connection was gone before it was served");
            return;
        }
        match self.admit(peer) {
            Ok(admitted) => self.serve(stream, peer, admitted),
            Err(why) => self.refuse(stream, peer, why),
        }
    }

    fn admit(&self, peer: SocketAddr) -> Result<Admitted, Why> {
        let trusted = self.proxies.as_ref().filter(|proxies| proxies.trust(peer.ip()));
        let proxied = trusted.map(|proxies| {
            let (proxies, clients) = (Arc::clone(proxies), self.clients.clone());
            Box::new(Proxied { proxies, clients, upgraded: Arc::default() })
        });
        let place = match &self.clients {
            Some(clients) if proxied.is_none() => {
                Some(clients.admit(peer.ip()).ok_or(Why::Client)?)
            }
            _ => None,
        };
        let permit = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Why::All)?;
        Ok(Admitted { permit, place, proxied })
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, admitted: Admitted) {
        let Admitted { permit, place, proxied } = admitted;
        let is_late = self.drain.is_cancelled();
        let upgraded = proxied.as_ref().map(|proxied| Arc::clone(&proxied.upgraded));
        let socket = self.socket(stream, permit, (place, upgraded), is_late);
        // One of its own, so that connections do not meet at one lock with every event.
        let drain = self.drain.child_token();
        let bodies = Bodies::new(self.discard, drain.clone());
        let requests = Requests {
            router: self.router.clone(),
            bodies: Arc::clone(&bodies),
            connection: Connection::new(peer, drain.clone()),
            counters: Arc::clone(&self.counters),
            read_stall: self.read_stall,
            proxied,
        };
        let service = service_fn(move |request| requests.answer(request));
        if is_late {
            self.drive_once(socket, peer, bodies, service);
        } else {
            self.drive(socket, peer, bodies, drain, service);
        }
    }

    fn refuse(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, why: Why) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            count(&self.counters.dropped);
            tracing::debug!(%peer, "far beyond the limit of connections: this one is closed");
            return;
        };
        count(match why {
            Why::All => &self.counters.refused,
            Why::Client => &self.counters.limited,
        });
        tracing::debug!(%peer, ?why, "at a limit: this connection is told to come again");
        let socket = self.socket(stream, permit, (None, None), self.drain.is_cancelled());
        // Its permit is one of a few, and another waits for it.
        let silence = self.discard.silence.min(ONE_ANSWER);
        let bodies = Bodies::new(Discard { silence, ..self.discard }, self.drain.child_token());
        let watched = Arc::clone(&bodies);
        let answer = move |request: Request<Incoming>| {
            let (request, _) = watched.watch(request);
            ready(Ok::<_, Infallible>(refusal::last_answer(&request, why)))
        };
        self.drive_once(socket, peer, bodies, service_fn(answer));
    }

    fn socket(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        places: (Option<Place>, Option<Arc<OnceLock<Place>>>),
        is_late: bool,
    ) -> Socket<TcpStream, Slot> {
        let tracker = if is_late { &self.late } else { &self.open };
        let slot = Slot::new(permit, tracker.token(), places, Arc::clone(&self.counters));
        Socket::new(stream, self.write_stall, accept::abort_on_close, slot)
    }

    fn drive<S>(
        self: &Arc<Self>,
        socket: Socket<TcpStream, Slot>,
        peer: SocketAddr,
        bodies: Arc<Bodies>,
        drain: CancellationToken,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        let mut connection = connection.with_upgrades();
        let shared = Arc::clone(self);
        // In one block and never moved, because there are thousands of them.
        self.open.spawn(async move {
            let mut ended = drain.run_until_cancelled(&mut connection).await;
            if ended.is_none() {
                Pin::new(&mut connection).graceful_shutdown();
                ended = shared.cut.run_until_cancelled(&mut connection).await;
            }
            // There are no parts of a connection that was upgraded.
            if let (Some(ended), Some(parts)) = (&ended, connection.into_parts()) {
                let has_more = !parts.read_buf.is_empty();
                let socket = parts.io.into_inner();
                Box::pin(shared.close(socket, &bodies, ended, has_more)).await;
            }
            shared.ended(peer, ended);
        });
    }

    /// Answers one request.
    fn drive_once<S>(
        self: &Arc<Self>,
        socket: Socket<TcpStream, Slot>,
        peer: SocketAddr,
        bodies: Arc<Bodies>,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let mut connection = self.once.serve_connection(TokioIo::new(socket), service);
        let shared = Arc::clone(self);
        // Not tracked beyond its socket's token: the drain does not wait for who comes late.
        self.late.spawn(async move {
            let ended = shared.cut.run_until_cancelled(&mut connection).await;
            if let Some(ended) = &ended {
                let parts = connection.into_parts();
                let has_more = !parts.read_buf.is_empty();
                shared.close(parts.io.into_inner(), &bodies, ended, has_more).await;
            }
            shared.ended(peer, ended);
        });
    }

    /// Closes a socket with which HTTP is done, and lingers if its peer may be
    /// sending and not have read its answer. `has_more` says whether more was
    /// read than was used.
    async fn close(
        &self,
        socket: Socket<TcpStream, Slot>,
        bodies: &Bodies,
        ended: &hyper::Result<()>,
        has_more: bool,
    ) {
        let phase = bodies.end().await;
        let may_be_sending = match ended {
            Ok(()) => {
                let is_owed = matches!(phase, Phase::Left | Phase::Handled);
                has_more || is_owed || linger::has_unread(socket.get_ref())
            }
            Err(error) => error.is_parse(),
        };
        let discarded = if phase == Phase::GivenUp {
            Some(Discarded::UpToTheBounds)
        } else if may_be_sending {
            self.cut.run_until_cancelled(bodies.linger(socket)).await
        } else {
            Some(Discarded::All)
        };
        match discarded {
            Some(Discarded::All) => {}
            Some(Discarded::UpToTheBounds) => count(&self.counters.still_sending),
            None => count(&self.counters.cut),
        }
    }

    /// Takes note of how a connection ended; `None` if it was cut.
    fn ended(&self, peer: SocketAddr, ended: Option<hyper::Result<()>>) {
        match ended {
            None => count(&self.counters.cut),
            Some(Ok(())) => {}
            Some(Err(error)) => {
                if error.is_timeout() {
                    count(&self.counters.silent);
                }
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        }
    }
}
