use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use downlink::{Error, Frame, Item, Subscription};
use futures::stream;
use rand::Rng;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::warn;

use crate::feed::Feed;
use crate::feed::drain::Drain;
use crate::feed::ending::{End, reconnect_after};
use crate::feed::rights::Rights;
use crate::wire::{self, Code, Problem};

/// What leaves together: at most so many frames, and no more once there are so
/// many bytes. One write an event would be twenty times slower.
const RUN_FRAMES: usize = 64;
const RUN_BYTES: usize = 16 << 10;

/// From so many bytes on, an event is sent as it was rendered for everybody;
/// smaller ones are copied into one piece, which is less work than a list.
const LARGE: usize = 4 << 10;

/// The body of an open SSE stream.
///
/// Kept small, because there are thousands: it holds no buffer while it waits,
/// and one timer for everything.
pub(super) struct Stream {
    subscription: Subscription,
    heartbeat: Duration,
    beats_are_events: bool,
    is_open: bool,
    /// What leaves next.
    held: Option<Bytes>,
    quiet_since: Instant,
    end: End,
    /// Fires when there may be something to do besides the subscription. Moved
    /// on when it fires, not when something is sent.
    timer: Pin<Box<Sleep>>,
    drain: Drain,
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
            held: None,
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
        let chunk = if let Some(held) = self.held.take() {
            held
        } else if self.is_open {
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
        let ready = Frame::Ready {
            cursor: self.subscription.cursor(),
            head: self.subscription.head_at_open(),
            heartbeat: Some(self.heartbeat),
        };
        let retry = Duration::from_millis(rand::rng().random_range(1_000..=4_000));
        [&b":\n\n"[..], &wire::frame_block(&ready, Some(retry))].concat().into()
    }

    /// This item and what waits behind it.
    fn run(&mut self, first: &Item) -> Bytes {
        let first = render(first);
        if first.len() >= LARGE {
            return first;
        }
        let Some(second) = self.small() else { return first };
        let mut run = BytesMut::with_capacity(RUN_BYTES.min(2 * first.len() + 1_024));
        run.extend_from_slice(&first);
        run.extend_from_slice(&second);
        for _ in 2..RUN_FRAMES {
            if run.len() >= RUN_BYTES {
                break;
            }
            let Some(next) = self.small() else { break };
            run.extend_from_slice(&next);
        }
        run.freeze()
    }

    /// What waits next, if it is small; otherwise it is held.
    fn small(&mut self) -> Option<Bytes> {
        let next = render(&self.subscription.try_next()?);
        if next.len() < LARGE {
            return Some(next);
        }
        self.held = Some(next);
        None
    }

    fn beat(&self) -> Bytes {
        if self.beats_are_events {
            wire::frame_block(&Frame::Heartbeat { head: self.subscription.tip() }, None)
        } else {
            Bytes::from_static(b":\n\n")
        }
    }

    async fn failure(&self, error: Error) -> Bytes {
        if error.is_other_history() {
            // The tail may not have noticed yet, so its head may be the old log's.
            let head = self.subscription.head().await.unwrap_or_else(|_| self.subscription.tip());
            let reason = Code::from(error.kind()).to_string();
            return wire::frame_block(&Frame::Reset { reason, head }, None);
        }
        warn!(%error, "a stream ended because the log cannot be read");
        let problem = Problem::from(error);
        let bye = goodbye(problem.code().as_str());
        [wire::frame_block(&problem.to_frame(), None), bye].concat().into()
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
        Item::Live { cursor, head } => wire::frame_block(&Frame::Live { cursor, head }, None),
        Item::Behind { cursor, head } => wire::frame_block(&Frame::Behind { cursor, head }, None),
        // Whatever else there will be, it moves the cursor.
        _ => wire::frame_block(&Frame::Checkpoint { cursor: item.cursor() }, None),
    }
}

/// The end, and when to come back.
fn goodbye(reason: &str) -> Bytes {
    let reconnect_after = reconnect_after(reason);
    wire::frame_block(&Frame::Bye { reason: reason.to_owned(), reconnect_after }, None)
}

#[cfg(test)]
mod tests {
    use downlink::{Expected, Hub, NewEvent, Subscribe};
    use http::Request;

    use super::*;

    async fn open(hub: &Hub) -> Stream {
        let feed = Feed::new(hub);
        let (parts, ()) = Request::new(()).into_parts();
        let subscription = hub.subscribe(Subscribe::new()).await.unwrap();
        Stream::new(subscription, &feed, &Rights::everything(), Drain::of(&feed, &parts))
    }

    #[tokio::test]
    async fn an_idle_stream_is_small() {
        let mut stream = open(&downlink::memory::hub().await.unwrap()).await;
        // The body, the future within it and the timer: what is allocated for as long as it is open.
        let bytes = size_of::<Stream>() + size_of_val(&stream.next()) + size_of::<Sleep>();
        assert!(bytes <= 2_048, "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_events_are_not_copied_and_small_ones_leave_together() {
        let hub = downlink::memory::hub().await.unwrap();
        let sizes = [1, 1, LARGE, 1, 1, 1, LARGE, LARGE, 1];
        let event = |size| NewEvent::with_json("T", format!("\"{}\"", "x".repeat(size))).unwrap();
        hub.append("s", Expected::Any, sizes.map(event)).await.unwrap();
        let mut stream = open(&hub).await;
        let mut log = Vec::new();
        let mut seen = hub.subscribe(Subscribe::new()).await.unwrap();
        while let Some(Ok(Item::Event(event))) = seen.next().await {
            log.push(wire::sse_block(&event));
        }
        let Chunk::More(_opening) = stream.next().await else { panic!() };
        for run in [0..2, 2..3, 3..6, 6..7, 7..8, 8..9] {
            let Chunk::More(chunk) = stream.next().await else { panic!() };
            let expected = &log[run];
            // `live` leaves with what was delivered before it.
            let events = &chunk[..chunk.len().min(expected.iter().map(Bytes::len).sum())];
            assert_eq!(events, expected.concat());
            if expected[0].len() >= LARGE {
                assert_eq!(chunk.as_ptr(), expected[0].as_ptr(), "it was copied");
            }
        }
    }
}
