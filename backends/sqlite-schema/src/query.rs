//! Queries of read models, as far as they do not depend on the driver: their
//! time, and what callers are told.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use downlink::id::ProjectionId;
use downlink::{BoxError, Error, ErrorKind};

use crate::{Abandoned, explain, is_of_the_file};

/// How many of its instructions SQLite executes before it asks a
/// [`QueryLimit`] whether to go on: some ten microseconds.
pub const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 1_000;

/// The time that a query has from the moment at which it got its connection.
/// Clones share it.
#[derive(Clone, Debug)]
pub struct QueryLimit {
    limit: Duration,
    began: Instant,
    abandoned: Abandoned,
    has_stopped: Arc<AtomicBool>,
}

impl QueryLimit {
    /// Lets the time begin.
    #[must_use]
    pub fn start(limit: Duration, abandoned: Abandoned) -> Self {
        Self { limit, began: Instant::now(), abandoned, has_stopped: Arc::default() }
    }

    /// What is left of the time.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    /// Whether SQLite has to stop. That it was told so is remembered.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        let is_over = self.began.elapsed() >= self.limit || self.abandoned.is_abandoned();
        if is_over {
            self.has_stopped.store(true, Ordering::Relaxed);
        }
        is_over
    }

    /// Whether SQLite was stopped, so that what the query has may be a part.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }

    /// A [`TooLarge`](ErrorKind::TooLarge): the query took longer than it may.
    #[must_use]
    pub fn too_slow(&self, id: &ProjectionId) -> Error {
        let message = format!(
            "the query of the read model '{}' was stopped after {:?}: \
             ask for less, add an index, or raise Options::with_query_limit",
            id.name(),
            self.limit
        );
        Error::new(ErrorKind::TooLarge, message)
    }
}

/// An error of a projection that has no live version. `is_known` tells whether
/// any version of it was ever made.
#[must_use]
pub fn not_live(id: &ProjectionId, is_known: bool) -> Error {
    let name = id.name();
    if is_known {
        let message = format!("the read model '{name}' is still being built: ask again later");
        return Error::new(ErrorKind::Unavailable, message);
    }
    let message = format!(
        "there is no read model '{name}' in this file: correct the name, or run its projection first"
    );
    Error::new(ErrorKind::Invalid, message)
}

/// What the code of a query has returned, as an error for its caller. `cause` is
/// the result code of SQLite, and what it said, if that is the cause.
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
            "it may only read, within its transaction: write in a projection instead",
        ),
        Some((code, said)) if is_of_the_file(code, &said) => explain(code),
        _ => (ErrorKind::Backend, "its code returned an error"),
    };
    Error::with_source(
        kind,
        format!("could not query the read model '{}': {what}", id.name()),
        error,
    )
}

/// An [`Invalid`](ErrorKind::Invalid): the transaction of the query is not what
/// it was, so its rows may be of several moments.
#[must_use]
pub fn query_has_meddled(id: &ProjectionId) -> Error {
    let message = format!(
        "the query of the read model '{}' has ended its transaction or changed its connection: \
         leave both to the store",
        id.name()
    );
    Error::new(ErrorKind::Invalid, message)
}

/// A [`Backend`](ErrorKind::Backend): the code of the query panicked.
#[must_use]
pub fn query_panicked(id: &ProjectionId, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "with something that is not text".to_owned());
    let message = format!("the query of the read model '{}' panicked: {text}", id.name());
    Error::new(ErrorKind::Backend, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Waiting;

    fn board() -> ProjectionId {
        ProjectionId::new("board", 0).unwrap()
    }

    #[test]
    fn a_query_stops_at_its_limit_and_when_its_caller_is_gone() {
        let (waiting, abandoned) = Waiting::new();
        let over = QueryLimit::start(Duration::ZERO, abandoned.clone());
        assert!(!over.has_stopped() && over.must_stop() && over.has_stopped());
        let limit = QueryLimit::start(Duration::from_hours(1), abandoned);
        assert!(!limit.must_stop() && !limit.clone().has_stopped());
        drop(waiting);
        assert!(limit.must_stop() && limit.clone().has_stopped());
    }

    #[test]
    fn an_error_of_a_query_says_whose_it_is() {
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
