use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use downlink::{Error, Item, Subscription};
use futures::stream;
use rand::Rng;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::warn;

use super::spread;
use crate::feed::Feed;
use crate::feed::drain::Drain;
use crate::feed::rights::Rights;
use crate::wire::{self, Code, Control, Problem};

/// What leaves together: at most so many frames, and no more once there are so
/// many bytes. One write an event would be twenty times slower.
const RUN_FRAMES: usize = 64;
const RUN_BYTES: usize = 16 << 10;

/// The body of an open SSE stream.
///
/// Kept small, because there are thousands: it holds no buffer while it waits,
/// and one timer for everything.
pub(super) struct Stream {
    subscription: Subscription,
    heartbeat: Duration,
    beats_are_events: bool,
    is_open: bool,
    quiet_since: Instant,
    end: End,
    /// Fires when there may be something to do besides the subscription. Moved
    /// on when it fires, not when something is sent.
    timer: Pin<Box<Sleep>>,
    drain: Drain,
}

/// When a stream ends by itself, and why.
#[derive(Clone, Copy)]
struct End {
    at: Instant,
    reason: &'static str,
}

enum Chunk {
    More(Bytes),
    Last(Bytes),
}

enum Wake {
    Item(Item),
    Beat,
    End(&'static str),
    Failed(Error),
}

impl Stream {
    pub(super) fn new(
        subscription: Subscription,
        feed: &Feed,
        rights: &Rights,
        drain: Drain,
    ) -> Self {
        let now = Instant::now();
        let end = End::of(feed.rotation, rights, now);
        Self {
            subscription,
            heartbeat: feed.heartbeat,
            beats_are_events: false,
            is_open: false,
            quiet_since: now,
            end,
            timer: Box::pin(sleep_until(end.at.min(now + feed.heartbeat))),
            drain,
        }
    }

    pub(super) fn with_beats_as_events(mut self, yes: bool) -> Self {
        self.beats_are_events = yes;
        self
    }

    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(Some(Box::new(self)), |this| async move {
            let mut this = this?;
            let (chunk, this) = match this.next().await {
                Chunk::More(chunk) => (chunk, Some(this)),
                Chunk::Last(chunk) => (chunk, None),
            };
            Some((Ok::<_, Infallible>(chunk), this))
        }))
    }

    async fn next(&mut self) -> Chunk {
        let chunk = if self.is_open {
            match self.wake().await {
                Wake::Item(item) => self.run(&item),
                Wake::Beat => self.beat(),
                Wake::End(reason) => return Chunk::Last(goodbye(reason)),
                Wake::Failed(error) => return Chunk::Last(self.failure(error).await),
            }
        } else {
            self.is_open = true;
            self.opening()
        };
        self.quiet_since = Instant::now();
        Chunk::More(chunk)
    }

    async fn wake(&mut self) -> Wake {
        loop {
            if self.drain.has_begun() {
                return Wake::End("draining");
            }
            let now = Instant::now();
            if now >= self.end.at {
                return Wake::End(self.end.reason);
            }
            let beat_at = self.quiet_since + self.heartbeat;
            if self.timer.is_elapsed() {
                if now >= beat_at {
                    return Wake::Beat;
                }
                self.timer.as_mut().reset(beat_at.min(self.end.at));
            }
            tokio::select! {
                biased;
                item = self.subscription.next() => return Wake::of(item),
                () = self.drain.begins() => {}
                () = self.timer.as_mut() => {}
            }
        }
    }

    /// A comment at once, so that proxies pass the stream on, and `ready`.
    fn opening(&self) -> Bytes {
        let ready = Control::Ready {
            cursor: self.subscription.cursor(),
            head: self.subscription.head_at_open(),
            heartbeat: self.heartbeat,
        };
        let retry = Duration::from_millis(rand::rng().random_range(1_000..=4_000));
        [&b":\n\n"[..], &ready.sse(Some(retry))].concat().into()
    }

    /// This item and what waits behind it.
    fn run(&mut self, first: &Item) -> Bytes {
        let first = render(first);
        let Some(second) = self.subscription.try_next() else { return first };
        let mut run = BytesMut::with_capacity(2 * first.len() + 1_024);
        run.extend_from_slice(&first);
        run.extend_from_slice(&render(&second));
        for _ in 2..RUN_FRAMES {
            if run.len() >= RUN_BYTES {
                break;
            }
            let Some(item) = self.subscription.try_next() else { break };
            run.extend_from_slice(&render(&item));
        }
        run.freeze()
    }

    fn beat(&self) -> Bytes {
        if self.beats_are_events {
            Control::Heartbeat { head: self.subscription.tip() }.sse(None)
        } else {
            Bytes::from_static(b":\n\n")
        }
    }

    async fn failure(&self, error: Error) -> Bytes {
        if error.is_other_history() {
            // The tail may not have noticed yet, so its head may be the old log's.
            let head = self.subscription.head().await.unwrap_or_else(|_| self.subscription.tip());
            let reason = Code::from(error.kind()).as_str();
            return Control::Reset { reason, head }.sse(None);
        }
        warn!(%error, "a stream ended because the log cannot be read");
        let problem = Problem::from(error);
        let bye = goodbye(problem.code().as_str());
        [Control::Problem(&problem).sse(None), bye].concat().into()
    }
}

impl End {
    /// At the end of the rights or after about `age`, a fifth more or less.
    fn of(age: Duration, rights: &Rights, now: Instant) -> Self {
        let rotation = now + age.mul_f64(rand::rng().random_range(0.8..=1.2));
        match rights.ends() {
            Some(end) if end < rotation => Self { at: end, reason: "expired" },
            _ => Self { at: rotation, reason: "rotate" },
        }
    }
}

impl Wake {
    fn of(next: Option<Result<Item, Error>>) -> Self {
        match next {
            Some(Ok(item)) => Self::Item(item),
            Some(Err(error)) => Self::Failed(error),
            None => Self::End(Code::Draining.as_str()),
        }
    }
}

fn render(item: &Item) -> Bytes {
    match *item {
        Item::Event(ref event) => wire::sse_block(event),
        Item::Live { cursor, head } => Control::Live { cursor, head }.sse(None),
        Item::Behind { cursor, head } => Control::Behind { cursor, head }.sse(None),
        // Whatever else there will be, it moves the cursor.
        _ => Control::Checkpoint { cursor: item.cursor() }.sse(None),
    }
}

/// The end, and when to come back: soon where the next stream is served by the
/// same server, spread out where everybody is sent away at once.
fn goodbye(reason: &str) -> Bytes {
    let millis = Duration::from_millis;
    let reconnect_after = match reason {
        "rotate" | "expired" => spread(millis(100), millis(1_000)),
        "draining" => spread(millis(250), millis(5_000)),
        _ => spread(millis(1_000), millis(10_000)),
    };
    Control::Bye { reason, reconnect_after }.sse(None)
}

#[cfg(test)]
mod tests {
    use downlink::Subscribe;
    use http::Request;

    use super::*;

    #[tokio::test]
    async fn an_idle_stream_is_small() {
        let hub = downlink::memory::hub().await.unwrap();
        let feed = Feed::new(&hub);
        let (parts, ()) = Request::new(()).into_parts();
        let subscription = hub.subscribe(Subscribe::new()).await.unwrap();
        let drain = Drain::of(&feed, &parts);
        let mut stream = Stream::new(subscription, &feed, &Rights::everything(), drain);
        // The body, the future within it and the timer: what is allocated for as long as it is open.
        let bytes = size_of::<Stream>() + size_of_val(&stream.next()) + size_of::<Sleep>();
        assert!(bytes <= 2_048, "{bytes}");
    }
}
