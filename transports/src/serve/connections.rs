use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::Service as _;

use super::socket::Socket;
use super::{accept, refusal};
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
    /// For connections that get one answer: beyond the limit, and during the
    /// drain.
    once: http1::Builder,
    write_stall: Duration,
    slots: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    pub(super) open: TaskTracker,
    /// Connections that came during the drain, which does not wait for them.
    late: TaskTracker,
    /// Cancelled to let everything end in good order.
    pub(super) drain: CancellationToken,
    /// Cancelled to end at once what drains.
    pub(super) cut: CancellationToken,
}

/// What a connection holds while its socket is open.
type Slot = (OwnedSemaphorePermit, TaskTrackerToken);

impl Connections {
    pub(super) fn new(
        router: Router,
        limit: usize,
        header_timeout: Duration,
        write_stall: Duration,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(BUFFER);
        let mut once = http.clone();
        once.keep_alive(false).header_read_timeout(header_timeout.min(ONE_ANSWER));
        Self {
            router,
            http,
            once,
            write_stall,
            slots: Arc::new(Semaphore::new(limit)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            open: TaskTracker::new(),
            late: TaskTracker::new(),
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Serves an accepted connection in a task of its own, or tells it to come
    /// again.
    pub(super) fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = accept::tune(&stream, self.write_stall) {
            tracing::debug!(%peer, %error, "the connection was gone before it was served");
            return;
        }
        let is_late = self.drain.is_cancelled();
        let tracker = if is_late { &self.late } else { &self.open };
        let socket = |permit| {
            let slot = (permit, tracker.token());
            Socket::new(stream, self.write_stall, accept::abort_on_close, slot)
        };
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            let service = service_fn(self.answers(peer));
            if is_late {
                self.drive_once(socket(slot), peer, service);
            } else {
                self.drive(socket(slot), peer, service);
            }
        } else if let Ok(refusal) = Arc::clone(&self.refusals).try_acquire_owned() {
            tracing::debug!(%peer, "at the limit of connections: this one is told to come again");
            let answer =
                |request: Request<Incoming>| ready(Ok::<_, Infallible>(refusal::answer(&request)));
            self.drive_once(socket(refusal), peer, service_fn(answer));
        } else {
            tracing::debug!(%peer, "far beyond the limit of connections: this one is closed");
        }
    }

    /// What answers the requests of one connection.
    fn answers(
        &self,
        peer: SocketAddr,
    ) -> impl Fn(Request<Incoming>) -> BoxFuture<'static, Result<Response, Infallible>> + use<>
    {
        let connection = Connection { peer, drain: self.drain.clone() };
        let router = self.router.clone();
        move |mut request| {
            let extensions = request.extensions_mut();
            extensions.insert(connection.clone());
            extensions.insert(ConnectInfo(peer));
            // Boxed, because its place is kept for as long as the body lasts.
            Box::pin(router.clone().call(request))
        }
    }

    fn drive<S>(self: &Arc<Self>, socket: Socket<TcpStream, Slot>, peer: SocketAddr, service: S)
    where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        let mut connection = connection.with_upgrades();
        let shared = Arc::clone(self);
        // In one block and never moved, because there are thousands of them.
        self.open.spawn(async move {
            let mut ended = shared.drain.run_until_cancelled(&mut connection).await;
            if ended.is_none() {
                Pin::new(&mut connection).graceful_shutdown();
                ended = shared.cut.run_until_cancelled(&mut connection).await;
            }
            if let Some(Err(error)) = ended {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        });
    }

    /// Answers one request.
    fn drive_once<S>(
        self: &Arc<Self>,
        socket: Socket<TcpStream, Slot>,
        peer: SocketAddr,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let connection = self.once.serve_connection(TokioIo::new(socket), service);
        let shared = Arc::clone(self);
        // Not tracked beyond its socket's token: the drain does not wait for who comes late.
        self.late.spawn(async move {
            if let Some(Err(error)) = shared.cut.run_until_cancelled(connection).await {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        });
    }
}
