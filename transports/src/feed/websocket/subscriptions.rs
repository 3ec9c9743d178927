use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll};

use downlink::{Cursor, Error, Item, Subscription};
use tokio_util::sync::ReusableBoxFuture;

use super::caller::{Denied, Opened};
use crate::wire::{Code, Label};

/// The subscriptions of one socket, each of which waits for itself.
///
/// They come to their turns in the order in which they had their last, so none
/// starves beside others that always have something; and none begins anew with
/// what it waits for because another had a turn.
#[derive(Default)]
pub(super) struct Subscriptions {
    seats: VecDeque<Seat>,
}

/// One subscription, and its name.
pub(super) struct Seat {
    pub(super) sub: Label,
    next: ReusableBoxFuture<'static, Step>,
}

/// What a subscription has waited for.
pub(super) enum Step {
    Opened(Result<Opened, Denied>),
    Item(Box<Subscription>, Item),
    /// The log became another one.
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
    /// What one socket may have.
    pub(super) const LIMIT: usize = 32;

    pub(super) fn is_full(&self) -> bool {
        self.seats.len() >= Self::LIMIT
    }

    pub(super) fn contains(&self, sub: &Label) -> bool {
        self.seats.iter().any(|seat| seat.sub == *sub)
    }

    /// Adds one that has yet to be opened.
    pub(super) fn open(
        &mut self,
        sub: Label,
        opening: impl Future<Output = Result<Opened, Denied>> + Send + 'static,
    ) {
        let next = ReusableBoxFuture::new(async { Step::Opened(opening.await) });
        self.seats.push_back(Seat { sub, next });
    }

    /// Lets a subscription that had its turn wait for the next.
    pub(super) fn wait(&mut self, mut seat: Seat, subscription: Box<Subscription>) {
        seat.next.set(next(subscription));
        self.seats.push_back(seat);
    }

    /// Ends one, whatever it waits for. `false` if there is none.
    pub(super) fn remove(&mut self, sub: &Label) -> bool {
        let before = self.seats.len();
        self.seats.retain(|seat| seat.sub != *sub);
        self.seats.len() < before
    }

    /// The next whose turn it is; it has left, until it [waits](Self::wait)
    /// again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Seat, Step)> {
        for place in 0..self.seats.len() {
            if let Poll::Ready(step) = self.seats[place].next.poll(cx) {
                let seat = self.seats.remove(place).expect("the place was just looked at");
                return Poll::Ready((seat, step));
            }
        }
        Poll::Pending
    }
}

async fn next(mut subscription: Box<Subscription>) -> Step {
    match subscription.next().await {
        Some(Ok(item)) => Step::Item(subscription, item),
        Some(Err(error)) if error.is_other_history() => {
            // The tail may not have noticed yet, so its head may be the old log's.
            let head = subscription.head().await.unwrap_or_else(|_| subscription.tip());
            Step::Reset { code: error.kind().into(), head }
        }
        Some(Err(error)) => Step::Failed(error),
        None => Step::Stopped,
    }
}

#[cfg(test)]
impl Subscriptions {
    /// What a subscription takes that waits for its turn, besides itself.
    pub(super) fn size_of_next(subscription: Box<Subscription>) -> usize {
        size_of_val(&next(subscription)) + size_of::<Seat>()
    }
}
