//! Tasks that outlive the panics of the code that they call.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

use crate::error::{Error, ErrorKind, Result};

/// The future's output, or an error in place of its panic.
pub(crate) async fn unwound<T>(future: impl Future<Output = T>) -> Result<T> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panicked(&*panic))
}

/// Writes to the log, and goes on if that panics: a subscriber of `tracing` is
/// code of others, too.
pub(crate) fn logged(write: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(write));
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = format!("code that Downlink called panicked: {}", text_of(panic));
    Error::new(ErrorKind::Backend, text)
}

/// What a panic said.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

/// A subscriber of the log that panics at every line, as one does that cannot
/// write.
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
        panic!("the log cannot be written, on purpose");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
