use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use downlink::{Error, Frame, Item, Subscription};
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::appends::{Appends, Stored};
use super::caller::{Caller, Denied, Opened};
use super::ending::{Ending, PATIENCE, close_frame};
use super::flow::{Flow, Happened};
use super::run::Run;
use super::subscriptions::{Seat, Step, Subscriptions};
use crate::feed::append;
use crate::feed::drain::Drain;
use crate::feed::ending::{End, reconnect_after};
use crate::feed::rights::Rights;
use crate::wire::{Addressee, Code, Command, Label, Problem, Refused, Reply, frame_json};

/// How long the other end may take nothing of what waits for it.
const STALL: Duration = Duration::from_secs(20);

/// How many pings in a row may stay without any sign of life.
const UNANSWERED_PINGS: u8 = 2;

/// How many messages in a row may be refused as they stand.
const BAD_MESSAGES: u8 = 16;

/// One socket from its beginning to its end, in one task.
///
/// Kept small, because there are thousands: it holds no buffer while it waits,
/// and one timer for everything.
pub(super) struct Session<T> {
    caller: Caller,
    flow: Flow<T>,
    drain: Drain,
    stopped: CancellationToken,
    end: End,
    quiet_since: Instant,
    unanswered_pings: u8,
    bad_messages: u8,
    /// Fires when there may be something to do besides the flow. Moved on when
    /// it fires, not when something is said.
    timer: Pin<Box<Sleep>>,
}

enum Wake {
    Happened(Happened),
    Beat,
    Stalled,
    End(&'static str),
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Session<T> {
    pub(super) async fn new(io: T, caller: Caller, rights: &Rights, drain: Drain) -> Self {
        let (now, feed) = (Instant::now(), caller.feed());
        let end = End::of(feed.rotation, rights, now);
        Self {
            stopped: feed.hub.stopped(),
            end,
            quiet_since: now,
            unanswered_pings: 0,
            bad_messages: 0,
            timer: Box::pin(sleep_until(end.at.min(now + feed.heartbeat.min(STALL)))),
            flow: Flow::new(io).await,
            caller,
            drain,
        }
    }

    /// Adds a subscription that was opened before the socket was.
    pub(super) fn begin(&mut self, sub: Label, opened: Opened) {
        self.flow.subscriptions.open(sub, async { Ok(opened) });
    }

    pub(super) async fn run(&mut self) {
        let ending = loop {
            let ending = match self.wake().await {
                Wake::Happened(happened) => self.handle(happened),
                Wake::Beat => self.beat(),
                Wake::Stalled => Some(Ending::Bare),
                Wake::End(reason) => Some(Ending::planned(reason)),
            };
            if let Some(ending) = ending {
                break ending;
            }
        };
        // Boxed, because a socket does it once.
        self.close(ending).boxed().await;
    }

    async fn wake(&mut self) -> Wake {
        loop {
            if self.drain.has_begun() || self.stopped.is_cancelled() {
                return Wake::End(Code::Draining.as_str());
            }
            let now = Instant::now();
            if now >= self.end.at {
                return Wake::End(self.end.reason);
            }
            let stalled_at = self.flow.out().blocked_since().map(|since| since + STALL);
            if stalled_at.is_some_and(|at| now >= at) {
                return Wake::Stalled;
            }
            if self.timer.is_elapsed() {
                let beat_at = self.quiet_since + self.caller.feed().heartbeat;
                if stalled_at.is_none() && now >= beat_at {
                    return Wake::Beat;
                }
                // No later than a stall that begins now could end.
                let next = stalled_at.unwrap_or_else(|| beat_at.min(now + STALL));
                self.timer.as_mut().reset(next.min(self.end.at));
            }
            tokio::select! {
                biased;
                happened = poll_fn(|cx| self.flow.poll(cx)) => return Wake::Happened(happened),
                () = self.drain.begins() => {}
                () = self.stopped.cancelled() => {}
                () = self.timer.as_mut() => {}
            }
        }
    }

    fn handle(&mut self, happened: Happened) -> Option<Ending> {
        match happened {
            Happened::Said(message) => self.take(message),
            Happened::Broke(error) => Some(Ending::of(&error)),
            Happened::Turn(seat, step) => self.turn(seat, step),
            Happened::Stored(req, stored) => self.answer(req, stored),
        }
    }

    fn say(&mut self, frame: &str) {
        self.flow.out().text(frame);
        self.quiet_since = Instant::now();
    }

    fn say_problem(&mut self, to: Option<&Addressee>, problem: &Problem) {
        self.say(&Reply::Problem { to, problem }.json());
    }

    /// Says that the server lives, and wants to know whether the other end does.
    fn beat(&mut self) -> Option<Ending> {
        if self.flow.out().heard() {
            self.unanswered_pings = 0;
        }
        if self.unanswered_pings == UNANSWERED_PINGS {
            debug!("a socket ends because nobody answers");
            return Some(Ending::Bare);
        }
        self.unanswered_pings += 1;
        let head = self.caller.feed().hub.tip();
        self.say(&frame_json(&Frame::Heartbeat { head }, None));
        self.flow.out().ping();
        None
    }

    fn take(&mut self, message: Message) -> Option<Ending> {
        match message {
            Message::Text(text) => self.obey(&text),
            Message::Binary(_) => Some(Ending::refused(1003, "commands are text messages")),
            Message::Close(_) => Some(Ending::Agreed),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        }
    }

    fn obey(&mut self, text: &str) -> Option<Ending> {
        let refused = match Command::parse(text) {
            Ok(command) => self.command(command).err(),
            Err(refused) => Some(refused),
        };
        let Some(Refused { to, problem }) = refused else {
            self.bad_messages = 0;
            return None;
        };
        self.say_problem(to.as_ref(), &problem);
        if problem.is_retryable() {
            return None;
        }
        self.bad_messages += 1;
        let reason = "too many messages in a row were refused";
        (self.bad_messages == BAD_MESSAGES).then(|| Ending::refused(4400, reason))
    }

    fn command(&mut self, command: Command) -> Result<(), Refused> {
        match command {
            Command::Subscribe { sub, after, filter } => {
                if let Err(problem) = self.check_new(&sub) {
                    return Err(Refused { to: Some(Addressee::Sub(sub)), problem });
                }
                let opening = self.caller.clone().subscribe(after, filter);
                self.flow.subscriptions.open(sub, opening);
            }
            Command::Unsubscribe { sub } => {
                if !self.flow.subscriptions.remove(&sub) {
                    let problem = bad_sub(&format!("there is no subscription '{sub}'"));
                    return Err(Refused { to: Some(Addressee::Sub(sub)), problem });
                }
                self.say(&Reply::Unsubscribed { sub: &sub }.json());
            }
            Command::Append { req, stream, expected, events } => {
                if let Err(problem) = self.check_append() {
                    return Err(Refused { to: Some(Addressee::Req(req)), problem });
                }
                let append = self.caller.clone().append(stream, expected, events);
                self.flow.appends.push(req, append);
            }
            Command::Ping { req } => self.say(&Reply::Pong { req: &req }.json()),
        }
        Ok(())
    }

    fn check_new(&self, sub: &Label) -> Result<(), Problem> {
        if self.flow.subscriptions.contains(sub) {
            let what = format!("subscription '{sub}' is open: unsubscribe first, or take another");
            return Err(bad_sub(&what));
        }
        if self.flow.subscriptions.is_full() {
            let limit = Subscriptions::LIMIT;
            let detail = format!("a socket has at most {limit} subscriptions: end one first");
            return Err(Problem::new(Code::Limit, detail).with_limit(limit));
        }
        Ok(())
    }

    fn check_append(&self) -> Result<(), Problem> {
        if !self.caller.feed().append {
            return Err(append::disabled());
        }
        if self.flow.appends.is_full() {
            let limit = Appends::LIMIT;
            let detail = format!("{limit} appends of this socket have no answer yet: await one");
            return Err(Problem::new(Code::Limit, detail).with_limit(limit));
        }
        Ok(())
    }

    fn turn(&mut self, seat: Seat, step: Step) -> Option<Ending> {
        match step {
            Step::Item(subscription, first) => self.run_of(seat, subscription, &first),
            Step::Opened(Ok(opened)) => self.opened(seat, opened),
            Step::Opened(Err(denied)) => return self.denied(&Addressee::Sub(seat.sub), &denied),
            Step::Reset { code, head } => {
                let reset = Frame::Reset { reason: code.to_string(), head };
                self.say(&frame_json(&reset, Some(seat.sub.as_str())));
            }
            Step::Failed(error) => return Some(self.failed(seat.sub, error)),
            Step::Stopped => return Some(Ending::planned(Code::Draining.as_str())),
        }
        None
    }

    fn opened(&mut self, seat: Seat, opened: Opened) {
        let Opened { subscription, rights } = opened;
        self.end = self.end.within(&rights);
        if self.end.at < self.timer.deadline() {
            self.timer.as_mut().reset(self.end.at);
        }
        let ready = Frame::Ready {
            cursor: subscription.cursor(),
            head: subscription.head_at_open(),
            heartbeat: Some(self.caller.feed().heartbeat),
        };
        self.say(&frame_json(&ready, Some(seat.sub.as_str())));
        self.flow.subscriptions.wait(seat, subscription);
    }

    fn run_of(&mut self, seat: Seat, mut subscription: Box<Subscription>, first: &Item) {
        Run::new(&seat.sub, self.flow.out()).of(first, &mut subscription);
        self.quiet_since = Instant::now();
        self.flow.subscriptions.wait(seat, subscription);
    }

    fn failed(&mut self, sub: Label, error: Error) -> Ending {
        warn!(%error, "a socket ends because the log cannot be read");
        let problem = Problem::from(error);
        self.say_problem(Some(&Addressee::Sub(sub)), &problem);
        Ending::planned(problem.code().as_str())
    }

    fn answer(&mut self, req: Label, stored: Stored) -> Option<Ending> {
        match stored {
            Ok(appended) => {
                self.say(&Reply::Appended { req: &req, appended: &appended }.json());
                None
            }
            Err(denied) => self.denied(&Addressee::Req(req), &denied),
        }
    }

    fn denied(&mut self, to: &Addressee, denied: &Denied) -> Option<Ending> {
        self.say_problem(Some(to), &denied.problem);
        denied.is_final.then(|| Ending::denied(denied.problem.code()))
    }

    async fn close(&mut self, ending: Ending) {
        let frame = match ending {
            Ending::Bare => return,
            Ending::Agreed => None,
            Ending::Refused(frame) => Some(frame),
            Ending::Planned { reason, code } => {
                self.finish_appends().await;
                let reconnect_after = reconnect_after(reason);
                let bye = Frame::Bye { reason: reason.to_owned(), reconnect_after };
                self.say(&frame_json(&bye, None));
                Some(close_frame(code, reason))
            }
        };
        match timeout(PATIENCE, self.flow.close(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a socket broke while it was closed"),
            Err(_) => debug!("a socket was dropped because the other end does not close it"),
        }
    }

    /// Answers every append that was taken.
    async fn finish_appends(&mut self) {
        let all = async {
            while !self.flow.appends.is_empty() {
                let (req, stored) = poll_fn(|cx| self.flow.appends.poll(cx)).await;
                self.answer(req, stored);
            }
        };
        if timeout(PATIENCE, all).await.is_err() {
            debug!("a socket ends before its appends have their answers");
        }
    }
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
    use crate::feed::Feed;

    #[tokio::test]
    async fn an_idle_socket_is_small() {
        let hub = downlink::memory::hub().await.unwrap();
        let feed = Arc::new(Feed::new(&hub));
        let (parts, ()) = Request::new(()).into_parts();
        let (io, _other) = tokio::io::duplex(64);
        let (caller, drain) = (Caller::new(&feed, &parts), Drain::of(&feed, &parts));
        let mut session = Session::new(io, caller, &Rights::everything(), drain).await;
        let subscription = Box::new(hub.subscribe(Subscribe::new()).await.unwrap());
        let subscription = size_of_val(&*subscription) + Subscriptions::size_of_next(subscription);
        // The session and its future, the timer, and a subscription with what it waits for: what is
        // allocated for as long as it is open, besides the buffer that is read into.
        let bytes = size_of_val(&session) + size_of_val(&session.run()) + size_of::<Sleep>();
        assert!(bytes + subscription <= 2_048, "{bytes} and {subscription}");
    }
}
