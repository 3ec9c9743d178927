use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;

/// A future that is part of a body, which is `Sync`.
pub(super) struct SyncFuture<T>(
    /// Never locked.
    Mutex<BoxFuture<'static, T>>,
);

impl<T> SyncFuture<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Mutex::new(future.boxed()))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx)
    }
}
