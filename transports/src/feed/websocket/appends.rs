use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::socket_client::CommandError;
use crate::wire::Label;

/// The appends of one socket that have not been answered yet.
///
/// They run one at a time, so that they are stored in the order in which they
/// were sent.
#[derive(Default)]
pub(super) struct Appends {
    waiting: VecDeque<(Label, BoxFuture<'static, AppendResult>)>,
}

/// The answer to an append as JSON, or why nothing was stored.
pub(super) type AppendResult = Result<String, CommandError>;

impl Appends {
    /// How many appends may wait.
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
        append: impl Future<Output = AppendResult> + Send + 'static,
    ) {
        self.waiting.push_back((req, append.boxed()));
    }

    /// Polls for the next result.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Label, AppendResult)> {
        let Some((_, append)) = self.waiting.front_mut() else { return Poll::Pending };
        let result = ready!(append.poll_unpin(cx));
        let (req, _) = self.waiting.pop_front().expect("the first append was just polled");
        Poll::Ready((req, result))
    }
}
