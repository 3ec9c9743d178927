use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use super::client_limiter::ClientPermit;
use crate::takeover;

/// A response that the server writes to the socket itself, after hyper has written
/// the earlier ones.
pub(super) struct HandedOver {
    pub(super) response: Response,
    /// Held until the body has ended.
    pub(super) permit: Option<ClientPermit>,
}

impl HandedOver {
    /// Whether the handler wants a response written by the server, and the layers have
    /// left it a body without a known end.
    pub(super) fn accepts(response: &Response) -> bool {
        let has_length = |name| response.headers().contains_key(name);
        takeover::is_accepted(response.extensions())
            && response.status() == StatusCode::OK
            && !has_length(CONTENT_LENGTH)
            && !has_length(TRANSFER_ENCODING)
    }
}

/// Where the service of a connection leaves such a response for the connection's task.
#[derive(Default)]
pub(super) struct Handover {
    waiting: Mutex<Option<Box<HandedOver>>>,
    is_flushed: AtomicBool,
}

impl Handover {
    pub(super) fn put(&self, response: HandedOver) {
        self.is_flushed.store(false, Ordering::Release);
        *self.waiting() = Some(Box::new(response));
    }

    /// hyper has written everything that it had.
    pub(super) fn flushed(&self) {
        self.is_flushed.store(true, Ordering::Release);
    }

    /// Takes the response, once everything before it was written.
    pub(super) fn take_if_flushed(&self) -> Option<Box<HandedOver>> {
        if self.is_flushed.load(Ordering::Acquire) { self.take() } else { None }
    }

    /// Takes the response, because the connection has ended.
    pub(super) fn take(&self) -> Option<Box<HandedOver>> {
        self.waiting().take()
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Box<HandedOver>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_waits_for_what_is_written_before_it() {
        let handover = Handover::default();
        handover.flushed();
        handover.put(HandedOver { response: Response::default(), permit: None });
        assert!(handover.take_if_flushed().is_none());
        handover.flushed();
        assert!(handover.take_if_flushed().is_some());
        assert!(handover.take_if_flushed().is_none());
    }
}
