use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use downlink::live::{LiveSubscription, Update};
use downlink::transport::Frame;
use downlink::{Cursor, Error, Item, Subscription};

use super::sync_future::SyncFuture;
use crate::wire::{self, Code, LiveFrame, Problem, Renderer};

/// What a stream is made of: the events of the log, or the answers of a live query.
#[expect(clippy::large_enum_variant, reason = "a stream has one, and most are of the log")]
pub(in crate::feed) enum Source {
    Log(Subscription),
    Live(Box<LiveSource>),
}

/// What comes next from a source.
pub(super) enum Next {
    /// Frames to send.
    Frames(Bytes),
    /// The last frames.
    Last(Bytes),
    Failed(Error),
    /// The hub was shut down.
    Stopped,
}

impl Source {
    /// The block of `ready`.
    pub(super) fn ready(&self, heartbeat: Duration, retry: Duration) -> Bytes {
        match self {
            Self::Log(subscription) => {
                let ready = Frame::Ready {
                    cursor: subscription.cursor(),
                    head: subscription.head_at_open(),
                    heartbeat: Some(heartbeat),
                };
                wire::frame_block(&ready, Some(retry))
            }
            Self::Live(live) => wire::live_ready_block(&live.key, heartbeat, retry),
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>, renderer: &Renderer) -> Poll<Next> {
        match self {
            Self::Log(subscription) => subscription.poll_next(cx).map(|next| match next {
                Some(Ok(item)) => Next::Frames(render(&item, renderer)),
                Some(Err(error)) => Next::Failed(error),
                None => Next::Stopped,
            }),
            Self::Live(live) => live.poll_next(cx),
        }
    }

    /// What comes next if it is in memory.
    pub(super) fn try_next(&mut self) -> Option<Item> {
        match self {
            Self::Log(subscription) => subscription.try_next(),
            // Only the newest answer matters.
            Self::Live(_) => None,
        }
    }

    pub(super) fn cached_head(&self) -> Cursor {
        match self {
            Self::Log(subscription) => subscription.cached_head(),
            Self::Live(live) => live.head,
        }
    }

    /// Reads the end of the log.
    pub(super) fn head(&self) -> SyncFuture<Cursor> {
        let cached = self.cached_head();
        match self {
            Self::Log(subscription) => {
                let head = subscription.head();
                SyncFuture::new(async move { head.await.unwrap_or(cached) })
            }
            Self::Live(_) => SyncFuture::new(async move { cached }),
        }
    }
}

/// A subscription of a live query, which is part of the future of its next update.
pub(in crate::feed) struct LiveSource {
    key: String,
    head: Cursor,
    next: SyncFuture<(LiveSubscription, Option<Update>)>,
}

impl LiveSource {
    pub(in crate::feed) fn new(subscription: LiveSubscription) -> Self {
        Self {
            key: subscription.key().to_owned(),
            head: subscription.cached_head(),
            next: next(subscription),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let (subscription, update) = ready!(self.next.poll(cx));
        self.head = subscription.cached_head();
        self.next = next(subscription);
        Poll::Ready(match update {
            Some(Update::Reset { reason, head }) => {
                let reason = Code::from(reason).to_string();
                Next::Last(wire::frame_block(&Frame::Reset { reason, head }, None))
            }
            Some(update) => Next::Frames(live_block(&update)),
            None => Next::Stopped,
        })
    }
}

fn next(mut subscription: LiveSubscription) -> SyncFuture<(LiveSubscription, Option<Update>)> {
    SyncFuture::new(async move {
        let update = subscription.next().await;
        (subscription, update)
    })
}

fn live_block(update: &Update) -> Bytes {
    match update {
        Update::Result(answer) => LiveFrame::result(answer).block(),
        Update::Rows(change) => LiveFrame::rows(change).block(),
        Update::Checkpoint(answer) => LiveFrame::checkpoint(answer).block(),
        Update::Failed(error) => {
            let problem = Problem::from((**error).clone());
            wire::frame_block(&problem.to_frame(), None)
        }
        _ => Bytes::new(),
    }
}

/// Appends what [`render`] returns.
pub(super) fn put(out: &mut BytesMut, item: &Item, renderer: &Renderer) {
    match item {
        Item::Event(event) => renderer.put_sse_block(out, event),
        _ => out.extend_from_slice(&render(item, renderer)),
    }
}

pub(super) fn render(item: &Item, renderer: &Renderer) -> Bytes {
    match *item {
        Item::Event(ref event) => renderer.sse_block(event),
        Item::Live { cursor, head } => wire::frame_block(&Frame::Live { cursor, head }, None),
        Item::Behind { cursor, head } => wire::frame_block(&Frame::Behind { cursor, head }, None),
        // Item is non-exhaustive: any other kind moves the cursor.
        _ => wire::frame_block(&Frame::Checkpoint { cursor: item.cursor() }, None),
    }
}
