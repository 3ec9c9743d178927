use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use downlink::transport::Frame;
use downlink::{Error, Item};
use rand::Rng;
use tokio::time::{Instant, Sleep, sleep_until};

use super::source::{Next, Source, put, render};
use super::sync_future::SyncFuture;
use super::{COMMENT, Ending, StreamOptions, bye, ended_by, rights_changed};
use crate::feed::stream_deadline::StreamDeadline;
use crate::wire::{self, Code};

/// The limits of a batch, which is written at once: a batch has at most this many
/// frames, and ends when it has this many bytes. One write per event would be
/// twenty times slower.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 16 << 10;

/// Events of at least this many bytes are sent from the buffer that all
/// subscribers share. Smaller ones are copied into one buffer, which is cheaper
/// than a list of buffers.
const LARGE: usize = 4 << 10;

/// The body of an open SSE stream.
///
/// Kept small, because there are thousands of them: it holds no buffer while it
/// waits, and one timer for everything.
pub(in crate::feed) struct SseBody {
    source: Source,
    options: StreamOptions,
    is_open: bool,
    /// A large event that is sent next.
    held_back: Option<Bytes>,
    idle_since: Instant,
    /// Fires when a heartbeat or the end may be due. Reset when it fires, not when
    /// something is sent.
    timer: Pin<Box<Sleep>>,
    /// Kept, because beginning to wait costs more than waiting.
    ends: SyncFuture<Ending>,
    /// The last frames of a stream that cannot go on, which have to be found out.
    failing: Option<SyncFuture<Bytes>>,
}

/// A part of a stream's body.
pub(super) enum Chunk {
    More(Bytes),
    Last(Bytes),
}

enum Wake {
    Frames(Bytes),
    Last(Bytes),
    Heartbeat,
    End(&'static str),
    RightsChanged,
    Failed(Error),
}

impl SseBody {
    pub(in crate::feed) fn new(source: Source, options: StreamOptions) -> Self {
        let now = Instant::now();
        let wake_at = options.deadline.at.min(now + options.heartbeat);
        let ends = options.ends();
        Self {
            source,
            options,
            is_open: false,
            held_back: None,
            idle_since: now,
            timer: Box::pin(sleep_until(wake_at)),
            ends,
            failing: None,
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Chunk> {
        if self.failing.is_none() && self.options.watch.have_changed() {
            self.failing = Some(self.rights_changed());
        }
        if let Some(failing) = &mut self.failing {
            return failing.poll(cx).map(Chunk::Last);
        }
        let chunk = if let Some(event) = self.held_back.take() {
            event
        } else if self.is_open {
            match ready!(self.poll_wake(cx)) {
                Wake::Frames(first) => self.batch(first),
                Wake::Last(frames) => return Poll::Ready(Chunk::Last(frames)),
                Wake::Heartbeat => self.options.heartbeat_block(self.source.cached_head()),
                Wake::RightsChanged => {
                    self.failing = Some(self.rights_changed());
                    return self.poll_next(cx);
                }
                Wake::End(reason) => return Poll::Ready(Chunk::Last(bye(reason))),
                Wake::Failed(error) if error.is_other_history() => {
                    self.failing = Some(self.reset(&error));
                    return self.poll_next(cx);
                }
                Wake::Failed(error) => return Poll::Ready(Chunk::Last(ended_by(error))),
            }
        } else {
            self.is_open = true;
            self.opening()
        };
        self.idle_since = Instant::now();
        Poll::Ready(Chunk::More(chunk))
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        match self.ends.poll(cx) {
            Poll::Ready(Ending::Draining) => return Poll::Ready(Wake::End("draining")),
            Poll::Ready(Ending::RightsChanged) => return Poll::Ready(Wake::RightsChanged),
            Poll::Pending => {}
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if let Some(due) = self.due() {
                return Poll::Ready(due);
            }
        }
        self.source.poll_next(cx, &self.options.renderer).map(Wake::from)
    }

    /// What the timer has fired for, unless it was reset.
    fn due(&mut self) -> Option<Wake> {
        let now = Instant::now();
        let StreamDeadline { at: deadline, reason } = self.options.deadline;
        if now >= deadline {
            return Some(Wake::End(reason));
        }
        let heartbeat_at = self.idle_since + self.options.heartbeat;
        let is_idle = now >= heartbeat_at;
        let next = if is_idle { now + self.options.heartbeat } else { heartbeat_at };
        self.timer.as_mut().reset(next.min(deadline));
        is_idle.then_some(Wake::Heartbeat)
    }

    /// A comment, at which proxies forward the response headers, and `ready`.
    fn opening(&self) -> Bytes {
        let retry = Duration::from_millis(rand::rng().random_range(1_000..=4_000));
        let comment = if self.options.has_begun { Bytes::new() } else { COMMENT };
        [comment, self.source.ready(self.options.heartbeat, retry)].concat().into()
    }

    /// These frames, and the next ones if they are available already.
    fn batch(&mut self, first: Bytes) -> Bytes {
        if first.len() >= LARGE {
            return first;
        }
        let Some(second) = self.next_small() else { return first };
        let mut batch = BytesMut::with_capacity(BATCH_BYTES.min(2 * first.len() + 1_024));
        batch.extend_from_slice(&first);
        put(&mut batch, &second, &self.options.renderer);
        for _ in 2..BATCH_FRAMES {
            if batch.len() >= BATCH_BYTES {
                break;
            }
            let Some(next) = self.next_small() else { break };
            put(&mut batch, &next, &self.options.renderer);
        }
        batch.freeze()
    }

    /// The next available item if it is small; a large one is held back.
    fn next_small(&mut self) -> Option<Item> {
        let next = self.source.try_next()?;
        let renderer = &self.options.renderer;
        if !matches!(&next, Item::Event(event) if renderer.size(event) >= LARGE) {
            return Some(next);
        }
        self.held_back = Some(render(&next, renderer));
        None
    }

    fn rights_changed(&self) -> SyncFuture<Bytes> {
        let watch = Arc::clone(&self.options.watch);
        SyncFuture::new(rights_changed(watch, self.source.cached_head()))
    }

    /// The frame after which the client begins again. The cached head may still be that
    /// of the old log.
    fn reset(&self, error: &Error) -> SyncFuture<Bytes> {
        let reason = Code::from(error.kind()).to_string();
        let mut head = self.source.head();
        SyncFuture::new(async move {
            let head = poll_fn(|cx| head.poll(cx)).await;
            wire::frame_block(&Frame::Reset { reason, head }, None)
        })
    }
}

impl From<Next> for Wake {
    fn from(next: Next) -> Self {
        match next {
            Next::Frames(frames) => Self::Frames(frames),
            Next::Last(frames) => Self::Last(frames),
            Next::Failed(error) => Self::Failed(error),
            Next::Stopped => Self::End(Code::Draining.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use downlink::{Expected, Hub, Item, NewEvent, Subscribe};
    use http::Request;

    use super::*;
    use crate::feed::drain::Drain;
    use crate::feed::feed::Feed;
    use crate::feed::reauthorize::RightsWatch;
    use crate::feed::rights::Rights;

    async fn open(hub: &Hub) -> SseBody {
        let feed = Feed::new(hub);
        let (parts, ()) = Request::new(()).into_parts();
        let hour = Duration::from_hours(1);
        let options = StreamOptions {
            heartbeat: hour,
            heartbeat_events: false,
            deadline: StreamDeadline::new(hour, &Rights::everything(), Instant::now()),
            drain: Drain::of(&feed, &parts),
            renderer: feed.renderer.clone(),
            watch: Arc::new(RightsWatch::none()),
            has_begun: false,
        };
        SseBody::new(Source::Log(hub.subscribe(Subscribe::new()).await.unwrap()), options)
    }

    async fn next(stream: &mut SseBody) -> Chunk {
        std::future::poll_fn(|cx| stream.poll_next(cx)).await
    }

    #[tokio::test]
    async fn an_idle_stream_is_small() {
        open(&downlink::memory::hub().await.unwrap()).await;
        // The body and the timer: what is allocated while the stream is open.
        let bytes = size_of::<SseBody>() + size_of::<Sleep>();
        assert!(bytes <= 640, "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_events_are_not_copied_and_small_ones_are_batched() {
        let hub = downlink::memory::hub().await.unwrap();
        let sizes = [1, 1, LARGE, 1, 1, 1, LARGE, LARGE, 1];
        let event = |size| NewEvent::json("T", format!("\"{}\"", "x".repeat(size))).unwrap();
        hub.append_to("s", Expected::Any, sizes.map(event)).await.unwrap();
        let mut stream = open(&hub).await;
        let mut log = Vec::new();
        let mut seen = hub.subscribe(Subscribe::new()).await.unwrap();
        while let Some(Ok(Item::Event(event))) = seen.next().await {
            log.push(wire::sse_block(&event));
        }
        let Chunk::More(_opening) = next(&mut stream).await else { panic!() };
        for batch in [0..2, 2..3, 3..6, 6..7, 7..8, 8..9] {
            let Chunk::More(chunk) = next(&mut stream).await else { panic!() };
            let expected = &log[batch];
            // `live` is in the batch of the events before it.
            let events = &chunk[..chunk.len().min(expected.iter().map(Bytes::len).sum())];
            assert_eq!(events, expected.concat());
            if expected[0].len() >= LARGE {
                assert_eq!(chunk.as_ptr(), expected[0].as_ptr(), "it was copied");
            }
        }
    }
}
