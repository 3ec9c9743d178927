use std::fmt;
use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// How long a law waits for something that has to happen, in milliseconds of
/// the runtime's clock.
static TIMEOUT_MS: AtomicU64 = AtomicU64::new(30_000);

/// Sets how long laws wait, in this process, for something that has to happen
/// before they fail. The default is 30 seconds; tests of the suite itself, in
/// which things do not happen on purpose, set less.
pub fn set_timeout(patience: Duration) {
    TIMEOUT_MS.store(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Waits for all tasks, and resumes the panic of one that panicked.
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

/// Waits for something that has to happen; panics with `what` if it does not.
pub(crate) async fn soon<T>(what: impl fmt::Display, future: impl Future<Output = T>) -> T {
    let patience = Duration::from_millis(TIMEOUT_MS.load(Ordering::Relaxed));
    match tokio::time::timeout(patience, future).await {
        Ok(result) => result,
        Err(elapsed) => panic!("{what} (waited for {patience:?}: {elapsed})"),
    }
}
