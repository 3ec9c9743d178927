use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use downlink::{Cursor, Hub, Result, Subscribe, Subscription};
use tokio::time::{Instant, Sleep, sleep_until};

use super::sync_future::SyncFuture;
use super::{Ending, StreamOptions, rights_changed};

/// A subscription whose beginning is being searched for in the log.
pub(super) struct Opening {
    pub(super) options: StreamOptions,
    hub: Hub,
    subscribing: SyncFuture<Result<Subscription>>,
    ends: SyncFuture<Ending>,
    /// The last frame, if the rights change meanwhile.
    last: Option<SyncFuture<Bytes>>,
    timer: Pin<Box<Sleep>>,
}

/// What happened while a stream was being opened.
#[expect(clippy::large_enum_variant, reason = "it is used at once")]
pub(super) enum Opened {
    Subscription(Result<Subscription>),
    /// A heartbeat is due. Has the end of the log.
    Heartbeat(Cursor),
    End(&'static str),
    /// This frame ends the stream.
    Last(Bytes),
}

impl Opening {
    pub(super) fn new(hub: &Hub, subscribe: Subscribe, options: StreamOptions) -> Self {
        let of = hub.clone();
        let subscribing = SyncFuture::new(async move { of.subscribe(subscribe).await });
        let ends = options.ends();
        let timer = Box::pin(sleep_until(next_heartbeat(&options)));
        Self { options, hub: hub.clone(), subscribing, ends, last: None, timer }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Opened> {
        if let Some(last) = &mut self.last {
            return last.poll(cx).map(Opened::Last);
        }
        match self.ends.poll(cx) {
            Poll::Ready(Ending::Draining) => return Poll::Ready(Opened::End("draining")),
            Poll::Ready(Ending::RightsChanged) => {
                let watch = Arc::clone(&self.options.watch);
                let changed = rights_changed(watch, self.hub.cached_head());
                self.last = Some(SyncFuture::new(changed));
                return self.poll(cx);
            }
            Poll::Pending => {}
        }
        if let Poll::Ready(opened) = self.subscribing.poll(cx) {
            return Poll::Ready(Opened::Subscription(opened));
        }
        self.timer.as_mut().poll(cx).map(|()| self.due())
    }

    /// What the timer has fired for.
    fn due(&mut self) -> Opened {
        let deadline = self.options.deadline;
        if Instant::now() >= deadline.at {
            return Opened::End(deadline.reason);
        }
        self.timer.as_mut().reset(next_heartbeat(&self.options));
        Opened::Heartbeat(self.hub.cached_head())
    }
}

fn next_heartbeat(options: &StreamOptions) -> Instant {
    options.deadline.at.min(Instant::now() + options.heartbeat)
}
