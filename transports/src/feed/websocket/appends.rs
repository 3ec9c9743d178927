use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::caller::Denied;
use crate::wire::Label;

/// The appends of one socket that have no answer yet.
///
/// One is under way at a time, so that they are stored in the order in which
/// they were sent.
#[derive(Default)]
pub(super) struct Appends {
    waiting: VecDeque<(Label, BoxFuture<'static, Stored>)>,
}

/// What the contract says of what was stored, or why nothing was.
pub(super) type Stored = Result<String, Denied>;

impl Appends {
    /// What may wait at a time. Each is at most one message in memory.
    pub(super) const LIMIT: usize = 16;

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= Self::LIMIT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(
        &mut self,
        req: Label,
        append: impl Future<Output = Stored> + Send + 'static,
    ) {
        self.waiting.push_back((req, append.boxed()));
    }

    /// The next that has its answer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Label, Stored)> {
        let Some((_, append)) = self.waiting.front_mut() else { return Poll::Pending };
        let stored = ready!(append.poll_unpin(cx));
        let (req, _) = self.waiting.pop_front().expect("the first was just looked at");
        Poll::Ready((req, stored))
    }
}
