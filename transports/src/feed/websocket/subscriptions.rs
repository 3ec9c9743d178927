use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll};

use downlink::live::{LiveSubscription, Update};
use downlink::{Cursor, Error, Item, Subscription};
use tokio_util::sync::ReusableBoxFuture;

use super::socket_client::{CommandError, OpenedSubscription, SocketSource};
use crate::wire::{Code, Label};

/// The subscriptions of one socket.
///
/// Each has a pending future for its next update, which is kept while others
/// are handled. The subscription that was handled last is polled last, so that
/// busy subscriptions do not starve others.
#[derive(Default)]
pub(super) struct Subscriptions {
    active: VecDeque<ActiveSubscription>,
}

/// One subscription, with its label and the future of its next update.
pub(super) struct ActiveSubscription {
    pub(super) sub: Label,
    next: ReusableBoxFuture<'static, SubscriptionUpdate>,
}

/// What happened to a subscription.
pub(super) enum SubscriptionUpdate {
    Opened(Result<OpenedSubscription, CommandError>),
    Item(Box<Subscription>, Item),
    Live(Box<LiveSubscription>, Update),
    /// The log was replaced by another one.
    Reset {
        code: Code,
        head: Cursor,
    },
    /// The log cannot be read.
    Failed(Error),
    /// The hub was shut down.
    Stopped,
}

impl Subscriptions {
    /// How many subscriptions one socket may have.
    pub(super) const LIMIT: usize = 32;

    pub(super) fn is_full(&self) -> bool {
        self.active.len() >= Self::LIMIT
    }

    pub(super) fn contains(&self, sub: &Label) -> bool {
        self.active.iter().any(|active| active.sub == *sub)
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &Label> {
        self.active.iter().map(|active| &active.sub)
    }

    /// Adds a subscription that is still being opened.
    pub(super) fn open(
        &mut self,
        sub: Label,
        opening: impl Future<Output = Result<OpenedSubscription, CommandError>> + Send + 'static,
    ) {
        let next = ReusableBoxFuture::new(async { SubscriptionUpdate::Opened(opening.await) });
        self.active.push_back(ActiveSubscription { sub, next });
    }

    /// Puts a subscription back after an update was handled.
    pub(super) fn put_back(&mut self, mut active: ActiveSubscription, source: SocketSource) {
        match source {
            SocketSource::Log(subscription) => active.next.set(next(subscription)),
            SocketSource::Live(subscription) => active.next.set(next_answer(subscription)),
        }
        self.active.push_back(active);
    }

    /// Ends a subscription. Returns `false` if there is none of this label.
    pub(super) fn remove(&mut self, sub: &Label) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.sub != *sub);
        self.active.len() < before
    }

    /// Polls for the next update, and removes its subscription until it is
    /// [put back](Self::put_back).
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(ActiveSubscription, SubscriptionUpdate)> {
        for index in 0..self.active.len() {
            if let Poll::Ready(update) = self.active[index].next.poll(cx) {
                let active = self.active.remove(index).expect("the index was just polled");
                return Poll::Ready((active, update));
            }
        }
        Poll::Pending
    }
}

async fn next(mut subscription: Box<Subscription>) -> SubscriptionUpdate {
    match subscription.next().await {
        Some(Ok(item)) => SubscriptionUpdate::Item(subscription, item),
        Some(Err(error)) if error.is_other_history() => {
            // The cached head may still be that of the old log.
            let head = subscription.head().await.unwrap_or_else(|_| subscription.cached_head());
            SubscriptionUpdate::Reset { code: error.kind().into(), head }
        }
        Some(Err(error)) => SubscriptionUpdate::Failed(error),
        None => SubscriptionUpdate::Stopped,
    }
}

async fn next_answer(mut subscription: Box<LiveSubscription>) -> SubscriptionUpdate {
    match subscription.next().await {
        Some(Update::Reset { reason, head }) => {
            SubscriptionUpdate::Reset { code: reason.into(), head }
        }
        Some(update) => SubscriptionUpdate::Live(subscription, update),
        None => SubscriptionUpdate::Stopped,
    }
}

#[cfg(test)]
impl Subscriptions {
    /// The size of a waiting subscription, without the subscription itself.
    pub(super) fn size_of_next(subscription: Box<Subscription>) -> usize {
        size_of_val(&next(subscription)) + size_of::<ActiveSubscription>()
    }
}
