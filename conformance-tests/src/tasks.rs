use std::fmt;
use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// How long a law waits for something that has to come, by the runtime's clock,
/// in milliseconds.
static PATIENCE: AtomicU64 = AtomicU64::new(30_000);

/// How long laws wait for something that has to come before they fail: 30
/// seconds, unless set for the whole process. For tests of the suite, in which
/// things do not come on purpose.
pub fn set_timeout(patience: Duration) {
    PATIENCE.store(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Waits for tasks, and panics as they do.
pub(crate) async fn join<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }
    results
}

/// Waits for something that has to come, and says what it was if it does not.
pub(crate) async fn soon<T>(what: impl fmt::Display, future: impl Future<Output = T>) -> T {
    let patience = Duration::from_millis(PATIENCE.load(Ordering::Relaxed));
    match tokio::time::timeout(patience, future).await {
        Ok(result) => result,
        Err(elapsed) => panic!("{what} (waited for {patience:?}: {elapsed})"),
    }
}
