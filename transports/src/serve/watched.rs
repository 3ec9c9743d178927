use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::exchange::{Exchange, Phase};
use super::liveness::{History, LivenessLimits, Observation, PeerState, Verdict};

/// A connection that is shared by its task and the sweeper, which closes it if its
/// peer is dead or stuck.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    pub(super) exchange: Arc<Exchange>,
    /// How many bytes the kernel has taken, and whether it takes no more: what there
    /// is to judge by where the kernel does not tell what the peer acknowledges.
    taken: AtomicU64,
    is_blocked: AtomicBool,
    /// Whether a body has not ended some time after its sender has closed its half: it
    /// never will.
    is_truncated: AtomicBool,
    judged: Mutex<Judged>,
    /// The task that drives the connection, which may wait for something else than
    /// the socket.
    task: AtomicWaker,
}

#[derive(Debug)]
struct Judged {
    history: History,
    verdict: Option<Verdict>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream) -> Self {
        let exchange = Arc::new(Exchange::new());
        let history = History::new(exchange.snapshot(), Instant::now());
        Self {
            stream,
            exchange,
            taken: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            is_truncated: AtomicBool::new(false),
            judged: Mutex::new(Judged { history, verdict: None }),
            task: AtomicWaker::new(),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Drives the connection until it has ended or a verdict is pronounced.
    ///
    /// # Cancel safety
    ///
    /// As that of the future.
    pub(super) async fn run<F: Future + Unpin>(
        &self,
        future: &mut F,
    ) -> Result<F::Output, Verdict> {
        std::future::poll_fn(|cx| {
            self.task.register(cx.waker());
            match self.verdict() {
                Some(verdict) => Poll::Ready(Err(verdict)),
                None => Pin::new(&mut *future).poll(cx).map(Ok),
            }
        })
        .await
    }

    /// Judges the connection, and pronounces the verdict if there is one. Returns
    /// `None` if one was pronounced before.
    pub(super) fn judge(&self, limits: &LivenessLimits, now: Instant) -> Option<Judgement> {
        let seen = self.observe();
        let mut judged = self.judged();
        // One that can be withdrawn must not keep a peer that is dead from being noticed.
        if judged.verdict.is_some_and(Verdict::is_final) {
            return None;
        }
        let verdict = judged.history.judge(&seen, limits, now);
        let stuck_for = judged.history.stuck_for(now);
        let is_truncated = judged.history.is_truncated(now);
        drop(judged);
        if is_truncated && !self.is_truncated.swap(true, Ordering::Relaxed) {
            self.task.wake();
        }
        let verdict = verdict.filter(|verdict| self.pronounce(*verdict));
        Some(Judgement { verdict, stuck_for })
    }

    /// Ends the connection. Returns `false` if that was decided before.
    pub(super) fn pronounce(&self, verdict: Verdict) -> bool {
        let mut judged = self.judged();
        if judged.verdict.is_some_and(Verdict::is_final) {
            return false;
        }
        judged.verdict = Some(verdict);
        drop(judged);
        if matches!(verdict, Verdict::Dead | Verdict::Stuck) {
            self.abort();
        }
        self.task.wake();
        true
    }

    /// The verdict, which is withdrawn if a request has arrived meanwhile.
    fn verdict(&self) -> Option<Verdict> {
        let mut judged = self.judged();
        let phase = self.exchange.snapshot().phase();
        let is_outdated = match judged.verdict? {
            Verdict::Idle => phase != Phase::Idle || self.has_unread(),
            Verdict::HeadTimeout => phase != Phase::Head,
            _ => false,
        };
        if is_outdated {
            judged.verdict = None;
        }
        judged.verdict
    }

    /// Makes closing the socket discard what the peer has not read, and everything
    /// that waits for the socket fail.
    fn abort(&self) {
        self.reset_on_close();
        // Fails if the peer has closed the connection.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }

    /// Makes closing the socket a reset, so that the kernel keeps nothing for the peer,
    /// and the peer does not take what it has for everything.
    pub(super) fn reset_on_close(&self) {
        if let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a stalled socket keeps its buffer until the kernel's timeout");
        }
    }

    fn observe(&self) -> Observation {
        let exchange = self.exchange.snapshot();
        let Ok(info) = downlink_tcp_info::tcp_info(&self.stream) else {
            return Observation {
                exchange,
                is_waiting: self.is_blocked.load(Ordering::Relaxed),
                progress: self.taken.load(Ordering::Relaxed),
                unanswered: 0,
                last_answer: Duration::ZERO,
                peer: self.peer_state(),
            };
        };
        Observation {
            exchange,
            is_waiting: info.is_waiting(),
            progress: info.bytes_acked,
            unanswered: info.retransmits.max(info.unanswered_probes),
            last_answer: info.last_ack_received,
            peer: match info.state {
                downlink_tcp_info::State::CloseWait => PeerState::HalfClosed,
                downlink_tcp_info::State::Closed => PeerState::Gone,
                _ => PeerState::Open,
            },
        }
    }

    /// What can be seen without reading.
    fn peer_state(&self) -> PeerState {
        let mut first = [std::mem::MaybeUninit::uninit()];
        match SockRef::from(&self.stream).peek(&mut first) {
            Ok(0) => PeerState::HalfClosed,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => PeerState::Gone,
            _ => PeerState::Open,
        }
    }

    /// Whether the end of what the peer sends is not to be seen yet. hyper would drop
    /// the response, but without reading it would keep the buffer of the request.
    pub(super) fn withholds_end(&self) -> bool {
        let now = self.exchange.snapshot();
        now.outlives_half_close() && !(now.has_body() && self.is_truncated.load(Ordering::Relaxed))
    }

    /// Whether the kernel has received bytes that have not been read.
    pub(super) fn has_unread(&self) -> bool {
        let mut first = [std::mem::MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut first).is_ok_and(|read| read > 0)
    }

    pub(super) fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&TcpStream) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match read(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    pub(super) fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.stream.poll_write_ready(cx)?.is_pending() {
                self.is_blocked.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    self.is_blocked.store(false, Ordering::Relaxed);
                    if let Ok(Ok(taken)) = outcome.as_ref().map(|taken| u64::try_from(*taken)) {
                        self.taken.fetch_add(taken, Ordering::Relaxed);
                    }
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found out about a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Option<Verdict>,
    /// How long the peer has acknowledged nothing although something is to be sent.
    pub(super) stuck_for: Duration,
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_final_verdict_is_neither_replaced_nor_pronounced_twice() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let watched = Watched::new(accepted.unwrap().0);
        watched.exchange.requested(false);
        // Withdrawn, because a request has arrived.
        assert!(watched.pronounce(Verdict::Idle));
        assert_eq!(watched.verdict(), None);
        assert!(watched.pronounce(Verdict::Aborted));
        for late in [Verdict::Idle, Verdict::HeadTimeout, Verdict::Stuck, Verdict::Aborted] {
            assert!(!watched.pronounce(late), "{late:?}");
            assert_eq!(watched.verdict(), Some(Verdict::Aborted));
        }
    }
}
