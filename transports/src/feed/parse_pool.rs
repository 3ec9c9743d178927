use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What is not larger is parsed at once: in 0.3 ms, and in 2 ms if it is nothing but
/// tags.
pub(super) const INLINE_BYTES: usize = 32 << 10;

/// How much is parsed at the same time.
const THREADS: usize = 2;

/// Parses what is large outside of the runtime's workers, so that it delays nothing
/// else: a few at a time, in the order of the calls. Clones share the turns.
#[derive(Clone, Debug)]
pub(super) struct ParsePool {
    turns: Arc<Semaphore>,
}

impl ParsePool {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(THREADS)) }
    }

    /// Calls `parse`, which reads this many bytes. Panics if it panics.
    ///
    /// # Cancel safety
    ///
    /// A call that has begun is not interrupted: it keeps its turn to its end.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= INLINE_BYTES {
            return parse();
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let parse = move || {
            let _turn = turn;
            parse()
        };
        match spawn_blocking(parse).await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(parsed) => parsed,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime is being shut down, and this task with it.
            Err(Err(_)) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_dropped_call_keeps_its_turn_until_it_ends() {
        let pool = ParsePool::new();
        let mut ends = Vec::new();
        for _ in 0..THREADS {
            let (end, ended) = mpsc::channel::<()>();
            let (began, has_begun) = tokio::sync::oneshot::channel();
            let parse = move || {
                began.send(()).unwrap();
                ended.recv().unwrap_err();
            };
            let mut call = Box::pin(pool.run(INLINE_BYTES + 1, parse));
            assert!(call.as_mut().now_or_never().is_none());
            has_begun.await.unwrap();
            ends.push(end);
        }
        // Both calls are gone, and still run.
        let mut next = Box::pin(pool.run(INLINE_BYTES + 1, || 7));
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(pool.turns.available_permits(), 0);
        assert_eq!(pool.run(INLINE_BYTES, || 8).now_or_never(), Some(8), "small ones do not wait");
        drop(ends);
        assert_eq!(next.await, 7);
    }
}
