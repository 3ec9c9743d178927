use std::thread::{self, JoinHandle};

use downlink::{Error, ErrorKind, Result};

/// Starts a thread.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, "the system cannot start another thread", error)
    })
}
