//! Helpers for tasks that survive panics of the code that they call.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

use crate::error::{Error, ErrorKind, Result};

/// Returns the future's output, or an error if it panics.
pub(crate) async fn unwound<T>(future: impl Future<Output = T>) -> Result<T> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panicked(&*panic))
}

/// Writes to the log, and ignores a panic: a `tracing` subscriber is foreign
/// code as well.
pub(crate) fn logged(write: impl FnOnce()) {
    contained(write);
}

/// Calls foreign code from which nothing is needed, and ignores a panic.
pub(crate) fn contained(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = format!("code called by Downlink panicked: {}", text_of(panic));
    Error::new(ErrorKind::Backend, text)
}

/// The message of a panic.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// A `tracing` subscriber that panics at every event, like one whose output is
/// closed.
#[cfg(test)]
pub(crate) struct PanickingLog;

#[cfg(test)]
impl tracing::Subscriber for PanickingLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("the log cannot be written (injected by the test)");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
