use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::budget::Reservation;
use downlink::live::{LiveSubscription, Update};
use downlink::transport::Frame;
use downlink::{Error, Item, NewEvent, Subscription};
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Subscribing;
use super::appends::{AppendResult, Appends};
use super::batch_writer::BatchWriter;
use super::close_frame::CloseFrame;
use super::close_reason::{CLOSE_TIMEOUT, CloseReason};
use super::multiplexer::{Multiplexer, ReceivedCommand, SocketEvent};
use super::socket_client::{CommandError, OpenedSubscription, SocketClient, SocketSource};
use super::subscriptions::{ActiveSubscription, SubscriptionUpdate, Subscriptions};
use crate::feed::append;
use crate::feed::drain::Drain;
use crate::feed::reauthorize::{RightsChange, RightsWatch};
use crate::feed::reconnect::reconnect_after;
use crate::feed::rights::Rights;
use crate::feed::stream_deadline::StreamDeadline;
use crate::wire::{
    Addressee, Code, Command, Label, LiveFrame, Problem, Refused, Reply, events_size, frame_json,
    live_ready_json,
};

/// How long the client may read nothing while frames are buffered for it. Under our
/// server its sweeper judges before, by what the client's system acknowledges.
const STALL_TIMEOUT: Duration = Duration::from_mins(5);

/// How many pings in a row may be sent without anything received.
const MAX_UNANSWERED_PINGS: u8 = 2;

/// A client that reads this many bytes per second has time to answer a ping: as long
/// as it takes to read what was sent before, but no longer than [`STALL_TIMEOUT`].
const SLOWEST_READER: u64 = 1 << 10;

/// How many messages in a row may be refused with a permanent problem.
const MAX_BAD_MESSAGES: u8 = 16;

/// One socket from upgrade to close, in one task.
///
/// Kept small, because there are thousands of them: it holds no buffer while it waits,
/// and one timer for everything.
pub(super) struct Session<T> {
    client: SocketClient,
    mux: Multiplexer<T>,
    drain: Drain,
    watch: Arc<RightsWatch>,
    /// Cancelled when the hub is shut down, and when the rights change.
    stopped: CancellationToken,
    deadline: StreamDeadline,
    idle_since: Instant,
    unanswered_pings: u8,
    /// Until when the client may be reading what was sent before the first unanswered
    /// ping.
    reading_until: Instant,
    /// How many bytes the client has certainly read.
    read: u64,
    bad_messages: u8,
    /// Fires when a heartbeat, a stall or the end may be due. Reset when it fires,
    /// not when something is sent.
    timer: Pin<Box<Sleep>>,
}

enum Wake {
    Event(SocketEvent),
    Heartbeat,
    Stalled,
    End(&'static str),
    RightsChanged,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Session<T> {
    pub(super) fn new(
        io: T,
        client: SocketClient,
        rights: &Rights,
        drain: Drain,
        watch: Arc<RightsWatch>,
    ) -> Self {
        let (now, feed) = (Instant::now(), client.feed());
        let deadline = StreamDeadline::new(feed.rotation, rights, now);
        Self {
            stopped: watch.ends().cloned().unwrap_or_else(|| feed.hub.shutdown_token()),
            deadline,
            idle_since: now,
            unanswered_pings: 0,
            reading_until: now,
            read: 0,
            bad_messages: 0,
            timer: Box::pin(sleep_until(deadline.at.min(now + feed.heartbeat.min(STALL_TIMEOUT)))),
            mux: Multiplexer::new(io, client.budget().clone(), feed.parsers.clone()),
            client,
            drain,
            watch,
        }
    }

    /// Adds a subscription.
    pub(super) fn subscribe(&mut self, sub: Label, subscribing: Subscribing) {
        self.mux.subscriptions.open(sub, subscribing);
    }

    pub(super) async fn run(&mut self) {
        let reason = loop {
            let reason = match self.wake().await {
                Wake::Event(event) => self.handle(event),
                Wake::Heartbeat => self.heartbeat(),
                Wake::Stalled => Some(CloseReason::ConnectionLost),
                Wake::End(reason) => Some(CloseReason::graceful(reason)),
                Wake::RightsChanged => Some(self.rights_changed().boxed().await),
            };
            if let Some(reason) = reason {
                break reason;
            }
        };
        // Boxed, because it is done once and would enlarge every socket.
        self.close(reason).boxed().await;
    }

    async fn wake(&mut self) -> Wake {
        loop {
            if self.watch.have_changed() {
                return Wake::RightsChanged;
            }
            if self.drain.has_begun() || self.stopped.is_cancelled() {
                return Wake::End(Code::Draining.as_str());
            }
            let now = Instant::now();
            if now >= self.deadline.at {
                return Wake::End(self.deadline.reason);
            }
            let stalled_at = self.stalled_at();
            if stalled_at.is_some_and(|at| now >= at) {
                return Wake::Stalled;
            }
            if self.timer.is_elapsed() {
                let heartbeat_at = self.idle_since + self.client.feed().heartbeat;
                if stalled_at.is_none() && now >= heartbeat_at {
                    return Wake::Heartbeat;
                }
                let heartbeat = self.client.feed().heartbeat;
                // A stall that begins now must be detected in time, and a heartbeat sent after one.
                let next = match stalled_at {
                    Some(stalled_at) => stalled_at.min(now + heartbeat),
                    None => heartbeat_at.min(now + STALL_TIMEOUT),
                };
                self.timer.as_mut().reset(next.min(self.deadline.at));
            }
            tokio::select! {
                biased;
                event = poll_fn(|cx| self.mux.poll(cx)) => return Wake::Event(event),
                () = self.drain.begins() => {}
                () = self.stopped.cancelled() => {}
                () = self.timer.as_mut() => {}
            }
        }
    }

    /// When the client counts as stalled, if a write waits for it.
    fn stalled_at(&mut self) -> Option<Instant> {
        let since = self.mux.buffer().blocked_since()?;
        Some(since + STALL_TIMEOUT)
    }

    fn handle(&mut self, event: SocketEvent) -> Option<CloseReason> {
        match event {
            SocketEvent::Command(command) => self.handle_received(command),
            SocketEvent::Ping => None,
            SocketEvent::Pong(payload) => {
                let read = self.mux.buffer().read_before_pong(&payload);
                self.read = self.read.max(read.unwrap_or_default());
                None
            }
            SocketEvent::Close => Some(CloseReason::ByClient),
            SocketEvent::Error(error) => Some(CloseReason::from_error(&error)),
            SocketEvent::Subscription(active, update) => self.handle_update(active, update),
            SocketEvent::Append(req, result) => self.answer_append(req, result),
        }
    }

    fn send(&mut self, frame: &str) {
        self.mux.buffer().push_text(frame);
        self.idle_since = Instant::now();
    }

    fn send_problem(&mut self, to: Option<&Addressee>, problem: &Problem) {
        self.send(&Reply::Problem { to, problem }.json());
    }

    /// Sends a heartbeat and a ping, unless the client has not answered the last
    /// ones.
    fn heartbeat(&mut self) -> Option<CloseReason> {
        if self.mux.buffer().take_received() {
            self.unanswered_pings = 0;
        }
        let now = Instant::now();
        if self.unanswered_pings == MAX_UNANSWERED_PINGS && now >= self.reading_until {
            debug!("a socket ends because the client does not answer pings");
            return Some(CloseReason::ConnectionLost);
        }
        if self.unanswered_pings == 0 {
            let to_read = self.mux.buffer().position().saturating_sub(self.read);
            let to_read = Duration::from_secs(to_read / SLOWEST_READER);
            self.reading_until = now + to_read.min(STALL_TIMEOUT);
        }
        self.unanswered_pings = MAX_UNANSWERED_PINGS.min(self.unanswered_pings + 1);
        let head = self.client.feed().hub.cached_head();
        self.send(&frame_json(&Frame::Heartbeat { head }, None));
        self.mux.buffer().push_ping();
        None
    }

    fn handle_received(&mut self, received: ReceivedCommand) -> Option<CloseReason> {
        let ReceivedCommand { command, held } = received;
        let refused = match command {
            Ok(command) => self.handle_command(command, held).err(),
            Err(refused) => Some(refused),
        };
        let Some(Refused { to, problem }) = refused else {
            self.bad_messages = 0;
            return None;
        };
        self.send_problem(to.as_ref(), &problem);
        if problem.is_retryable() {
            return None;
        }
        self.bad_messages += 1;
        let reason = "too many messages in a row were refused";
        (self.bad_messages == MAX_BAD_MESSAGES).then(|| CloseReason::refused(4400, reason))
    }

    fn handle_command(&mut self, command: Command, held: Reservation) -> Result<(), Refused> {
        match command {
            Command::Subscribe { sub, after, filter } => {
                if let Err(problem) = self.check_new(&sub) {
                    return Err(Refused { to: Some(Addressee::Sub(sub)), problem });
                }
                let opening = self.client.clone().subscribe(after, filter);
                self.mux.subscriptions.open(sub, opening);
            }
            Command::Watch { sub, query, params, after } => {
                if let Err(problem) = self.check_new(&sub) {
                    return Err(Refused { to: Some(Addressee::Sub(sub)), problem });
                }
                let opening = self.client.clone().watch(query, params, after);
                self.mux.subscriptions.open(sub, opening);
            }
            Command::Unsubscribe { sub } => {
                if !self.mux.subscriptions.remove(&sub) {
                    let problem = bad_sub(&format!("there is no subscription '{sub}'"));
                    return Err(Refused { to: Some(Addressee::Sub(sub)), problem });
                }
                self.send(&Reply::Unsubscribed { sub: &sub }.json());
            }
            Command::Append { req, stream, expected, events } => {
                let held = match self.check_append().and_then(|()| hold_events(held, &events)) {
                    Ok(held) => held,
                    Err(problem) => {
                        return Err(Refused { to: Some(Addressee::Req(req)), problem });
                    }
                };
                let append = self.client.clone().append(stream, expected, events);
                self.mux.appends.push(req, async move {
                    let _held = held;
                    append.await
                });
            }
            Command::Ping { req } => self.send(&Reply::Pong { req: &req }.json()),
        }
        Ok(())
    }

    fn check_new(&self, sub: &Label) -> Result<(), Problem> {
        if self.mux.subscriptions.contains(sub) {
            let what =
                format!("subscription '{sub}' is open: unsubscribe first, or use another label");
            return Err(bad_sub(&what));
        }
        if self.mux.subscriptions.is_full() {
            let limit = Subscriptions::LIMIT;
            let detail =
                format!("a socket has at most {limit} subscriptions: unsubscribe from one first");
            return Err(Problem::new(Code::Limit, detail).with_limit(limit));
        }
        Ok(())
    }

    fn check_append(&self) -> Result<(), Problem> {
        if !self.client.feed().append {
            return Err(append::disabled());
        }
        if self.mux.appends.is_full() {
            let limit = Appends::LIMIT;
            let detail = format!(
                "{limit} appends of this socket are not answered yet: wait for an answer first"
            );
            return Err(Problem::new(Code::Limit, detail).with_limit(limit));
        }
        Ok(())
    }

    fn handle_update(
        &mut self,
        active: ActiveSubscription,
        update: SubscriptionUpdate,
    ) -> Option<CloseReason> {
        match update {
            SubscriptionUpdate::Item(subscription, first) => {
                self.send_items(active, subscription, &first);
            }
            SubscriptionUpdate::Live(subscription, update) => {
                self.send_answer(active, subscription, update);
            }
            SubscriptionUpdate::Opened(Ok(opened)) => self.opened(active, opened),
            SubscriptionUpdate::Opened(Err(error)) => {
                return self.command_failed(&Addressee::Sub(active.sub), &error);
            }
            SubscriptionUpdate::Reset { code, head } => {
                let reset = Frame::Reset { reason: code.to_string(), head };
                self.send(&frame_json(&reset, Some(active.sub.as_str())));
            }
            SubscriptionUpdate::Failed(error) => return Some(self.read_failed(active.sub, error)),
            SubscriptionUpdate::Stopped => {
                return Some(CloseReason::graceful(Code::Draining.as_str()));
            }
        }
        None
    }

    fn opened(&mut self, active: ActiveSubscription, opened: OpenedSubscription) {
        let OpenedSubscription { source, rights } = opened;
        self.deadline = self.deadline.min_with_rights(&rights);
        if self.deadline.at < self.timer.deadline() {
            self.timer.as_mut().reset(self.deadline.at);
        }
        let (sub, heartbeat) = (Some(active.sub.as_str()), self.client.feed().heartbeat);
        let ready = match &source {
            SocketSource::Log(subscription) => {
                let (cursor, head) = (subscription.cursor(), subscription.head_at_open());
                frame_json(&Frame::Ready { cursor, head, heartbeat: Some(heartbeat) }, sub)
            }
            SocketSource::Live(live) => live_ready_json(sub, live.key(), heartbeat),
        };
        self.send(&ready);
        self.mux.subscriptions.put_back(active, source);
    }

    fn send_items(
        &mut self,
        active: ActiveSubscription,
        mut subscription: Box<Subscription>,
        first: &Item,
    ) {
        let renderer = &self.client.feed().renderer;
        BatchWriter::new(&active.sub, self.mux.buffer(), renderer).write(first, &mut subscription);
        self.idle_since = Instant::now();
        self.mux.subscriptions.put_back(active, SocketSource::Log(subscription));
    }

    fn send_answer(
        &mut self,
        active: ActiveSubscription,
        subscription: Box<LiveSubscription>,
        update: Update,
    ) {
        let frame = match update {
            Update::Result(answer) => Ok(LiveFrame::result(&answer)),
            Update::Rows(change) => Ok(LiveFrame::rows(&change)),
            Update::Checkpoint(answer) => Ok(LiveFrame::checkpoint(&answer)),
            Update::Failed(error) => Err(Problem::from((*error).clone())),
            _ => Err(Problem::new(Code::Internal, "an answer cannot be sent")),
        };
        match frame {
            Ok(frame) => {
                let parts = frame.json_with("sub", active.sub.as_str());
                let len = parts.iter().map(Bytes::len).sum();
                self.mux.buffer().push_text_parts(len, parts.into_iter());
                self.idle_since = Instant::now();
            }
            Err(problem) => {
                self.send_problem(Some(&Addressee::Sub(active.sub.clone())), &problem);
            }
        }
        self.mux.subscriptions.put_back(active, SocketSource::Live(subscription));
    }

    fn read_failed(&mut self, sub: Label, error: Error) -> CloseReason {
        warn!(%error, "a socket ends because the log cannot be read");
        let problem = Problem::from(error);
        self.send_problem(Some(&Addressee::Sub(sub)), &problem);
        CloseReason::graceful(problem.code().as_str())
    }

    fn answer_append(&mut self, req: Label, result: AppendResult) -> Option<CloseReason> {
        match result {
            Ok(appended) => {
                self.send(&Reply::Appended { req: &req, appended: &appended }.json());
                None
            }
            Err(error) => self.command_failed(&Addressee::Req(req), &error),
        }
    }

    fn command_failed(&mut self, to: &Addressee, error: &CommandError) -> Option<CloseReason> {
        self.send_problem(Some(to), &error.problem);
        error.ends_socket.then(|| CloseReason::unauthorized(error.problem.code()))
    }

    /// Ends the socket, and tells the client whether to load again.
    async fn rights_changed(&mut self) -> CloseReason {
        if self.watch.change().await == RightsChange::Wider {
            let reason = Code::RightsChanged.to_string();
            let reset = Frame::Reset { reason, head: self.client.feed().hub.cached_head() };
            let subs: Vec<_> = self.mux.subscriptions.labels().cloned().collect();
            for sub in subs {
                self.send(&frame_json(&reset, Some(sub.as_str())));
            }
        }
        CloseReason::graceful("rights")
    }

    async fn close(&mut self, reason: CloseReason) {
        let frame = match reason {
            CloseReason::ConnectionLost => return,
            CloseReason::ByClient => {
                self.complete_appends().await;
                None
            }
            CloseReason::Refused(frame) => Some(frame),
            CloseReason::Graceful { reason, code } => {
                self.finish_appends().await;
                let reconnect_after = reconnect_after(reason);
                let bye = Frame::Bye { reason: reason.to_owned(), reconnect_after };
                self.send(&frame_json(&bye, None));
                Some(CloseFrame::new(code, reason))
            }
        };
        if frame.is_some() {
            self.write_rest().await;
        }
        match timeout(CLOSE_TIMEOUT, self.mux.close(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a socket failed while it was being closed"),
            Err(_) => debug!("a socket was dropped because the client does not close it"),
        }
    }

    /// Writes what is buffered. This may take as long as the client reads and the
    /// server does not drain.
    async fn write_rest(&mut self) {
        while !self.drain.has_begun() && !self.stopped.is_cancelled() {
            let now = Instant::now();
            let stalled_at = self.stalled_at().unwrap_or(now + STALL_TIMEOUT);
            if now >= stalled_at {
                return;
            }
            tokio::select! {
                biased;
                _ = poll_fn(|cx| Pin::new(self.mux.buffer()).poll_flush(cx)) => return,
                () = self.drain.begins() => {}
                () = self.stopped.cancelled() => {}
                () = sleep_until(stalled_at) => {}
            }
        }
    }

    /// Completes every append that was accepted, of a client that has closed the socket
    /// and wants no answers.
    async fn complete_appends(&mut self) {
        let all = async {
            while !self.mux.appends.is_empty() {
                poll_fn(|cx| self.mux.appends.poll(cx)).await.1.ok();
            }
        };
        if timeout(CLOSE_TIMEOUT, all).await.is_err() {
            debug!("a socket ends before its appends are complete");
        }
    }

    /// Answers every append that was accepted.
    async fn finish_appends(&mut self) {
        let all = async {
            while !self.mux.appends.is_empty() {
                let (req, result) = poll_fn(|cx| self.mux.appends.poll(cx)).await;
                self.answer_append(req, result);
            }
        };
        if timeout(CLOSE_TIMEOUT, all).await.is_err() {
            debug!("a socket ends before its appends are answered");
        }
    }
}

/// Reserves the bytes of an append in place of those of its message, which is gone.
fn hold_events(mut held: Reservation, events: &[NewEvent]) -> Result<Reservation, Problem> {
    held.shrink(usize::MAX);
    if held.try_grow(events_size(events)) { Ok(held) } else { Err(append::overloaded()) }
}

fn bad_sub(detail: &str) -> Problem {
    Problem::new(Code::BadParameter, detail).with_parameter("sub")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use downlink::Subscribe;
    use http::Request;

    use super::*;
    use crate::feed::feed::Feed;

    #[tokio::test]
    async fn an_idle_socket_is_small() {
        let hub = downlink::memory::hub().await.unwrap();
        let feed = Arc::new(Feed::new(&hub));
        let (parts, ()) = Request::new(()).into_parts();
        let (io, _other) = tokio::io::duplex(64);
        let (watch, rights) = (Arc::new(RightsWatch::none()), Rights::everything());
        let client = SocketClient::new(&feed, &parts, &rights, Arc::clone(&watch));
        let drain = Drain::of(&feed, &parts);
        let mut session = Session::new(io, client, &rights, drain, watch);
        let subscription = Box::new(hub.subscribe(Subscribe::new()).await.unwrap());
        let subscription = size_of_val(&*subscription) + Subscriptions::size_of_next(subscription);
        // The session, its future and timer, and a subscription with its future: what is allocated
        // while the socket is open. It has no read buffer.
        let bytes = size_of_val(&session) + size_of_val(&session.run()) + size_of::<Sleep>();
        assert!(bytes + subscription <= 2_048, "{bytes} and {subscription}");
    }
}
