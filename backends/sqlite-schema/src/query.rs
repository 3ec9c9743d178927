//! Queries of read models, without a driver: their time limit and their errors.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use downlink::id::ProjectionId;
use downlink::{BoxError, Error, ErrorKind};

use crate::cancel::CancelFlag;
use crate::result_code::{explain, is_storage_error};

/// How many instructions SQLite executes between two checks of a [`QueryLimit`]: some ten
/// microseconds.
pub const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 1_000;

/// The time limit of a query, from the moment it gets its connection. Clones share it.
#[derive(Clone, Debug)]
pub struct QueryLimit {
    limit: Duration,
    began: Instant,
    cancelled: CancelFlag,
    has_stopped: Arc<AtomicBool>,
}

impl QueryLimit {
    /// Starts the time.
    #[must_use]
    pub fn start(limit: Duration, cancelled: CancelFlag) -> Self {
        Self { limit, began: Instant::now(), cancelled, has_stopped: Arc::default() }
    }

    /// The remaining time.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    /// Whether SQLite has to stop. If so, [`has_stopped`](Self::has_stopped) is true from
    /// then on.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        let is_over = self.began.elapsed() >= self.limit || self.cancelled.is_cancelled();
        if is_over {
            self.has_stopped.store(true, Ordering::Relaxed);
        }
        is_over
    }

    /// Whether SQLite was stopped, so that the result of the query may be incomplete.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }

    /// A [`TooLarge`](ErrorKind::TooLarge): the query exceeded its limit.
    #[must_use]
    pub fn too_slow(&self, id: &ProjectionId) -> Error {
        let message = format!(
            "the query of the read model '{}' was stopped after {:?}: \
             query less, add an index, or raise Options::with_query_limit",
            id.name(),
            self.limit
        );
        Error::new(ErrorKind::TooLarge, message)
    }
}

/// The error for a projection without a live version. `is_known` is whether any version
/// of it exists.
#[must_use]
pub fn not_live(id: &ProjectionId, is_known: bool) -> Error {
    let name = id.name();
    if is_known {
        let message = format!("the read model '{name}' is still being built: retry later");
        return Error::new(ErrorKind::Unavailable, message);
    }
    let message = format!(
        "there is no read model '{name}' in this file: correct the name, or run its projection first"
    );
    Error::new(ErrorKind::Invalid, message)
}

/// Turns the error that the code of a query has returned into one for its caller. `cause`
/// is the result code of SQLite and its message, if SQLite is the cause.
#[must_use]
pub fn query_failed(id: &ProjectionId, cause: Option<(i32, String)>, error: BoxError) -> Error {
    const READONLY: i32 = 8;
    const AUTH: i32 = 23;
    let error = match error.downcast::<Error>() {
        Ok(own) => return *own,
        Err(error) => error,
    };
    let (kind, what) = match cause {
        Some((code, _)) if matches!(code & 0xff, READONLY | AUTH) => (
            ErrorKind::Invalid,
            "a query may only read, and may not end its transaction: write in a projection instead",
        ),
        Some((code, message)) if is_storage_error(code, &message) => explain(code),
        _ => (ErrorKind::Backend, "its code returned an error"),
    };
    Error::with_source(
        kind,
        format!("could not query the read model '{}': {what}", id.name()),
        error,
    )
}

/// An [`Invalid`](ErrorKind::Invalid): the query has ended its transaction, so its rows may
/// come from several snapshots.
#[must_use]
pub fn query_changed_connection(id: &ProjectionId) -> Error {
    let message = format!(
        "the query of the read model '{}' has ended its transaction or changed its connection: \
         only the store may do that",
        id.name()
    );
    Error::new(ErrorKind::Invalid, message)
}

/// A [`Backend`](ErrorKind::Backend): the code of the query panicked.
#[must_use]
pub fn query_panicked(id: &ProjectionId, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "with a value that is not text".to_owned());
    let message = format!("the query of the read model '{}' panicked: {text}", id.name());
    Error::new(ErrorKind::Backend, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelOnDrop;

    fn board() -> ProjectionId {
        ProjectionId::new("board", 0).unwrap()
    }

    #[test]
    fn a_query_stops_at_its_limit_and_when_it_is_cancelled() {
        let (on_drop, cancelled) = CancelOnDrop::new();
        let over = QueryLimit::start(Duration::ZERO, cancelled.clone());
        assert!(!over.has_stopped() && over.must_stop() && over.has_stopped());
        let limit = QueryLimit::start(Duration::from_hours(1), cancelled);
        assert!(!limit.must_stop() && !limit.clone().has_stopped());
        drop(on_drop);
        assert!(limit.must_stop() && limit.clone().has_stopped());
    }

    #[test]
    fn the_kind_of_a_query_error_depends_on_its_cause() {
        let of = |code: Option<i32>| {
            let cause = code.map(|code| (code, String::new()));
            query_failed(&board(), cause, "test".into()).kind()
        };
        assert_eq!(of(Some(8)), ErrorKind::Invalid);
        assert_eq!(of(Some(23)), ErrorKind::Invalid);
        assert_eq!(of(Some(11)), ErrorKind::Corrupt);
        assert_eq!(of(Some(1)), ErrorKind::Backend);
        assert_eq!(of(Some(6)), ErrorKind::Backend);
        assert_eq!(of(None), ErrorKind::Backend);
        let own = Error::new(ErrorKind::TooLarge, "more rows than a page has");
        assert_eq!(query_failed(&board(), None, own.into()).kind(), ErrorKind::TooLarge);
        assert_eq!(not_live(&board(), true).kind(), ErrorKind::Unavailable);
        assert_eq!(not_live(&board(), false).kind(), ErrorKind::Invalid);
    }
}
