use std::time::Duration;

use crate::{Error, ErrorKind};

/// How often something is tried whose error says neither that it passes nor
/// that it stays: over about three seconds.
const BACKEND_TRIES: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// How long to wait before something is tried again: longer and longer.
#[derive(Debug)]
pub(crate) struct Retries {
    tries: u32,
    pause: Duration,
    longest: Duration,
}

impl Retries {
    /// Up to a second.
    pub(crate) fn new() -> Self {
        Self::up_to(Duration::from_secs(1))
    }

    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { tries: 0, pause: FIRST_PAUSE, longest }
    }

    /// The pause after this error; `None` if trying again does not help.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        self.tries += 1;
        let may_pass = error.is_retryable()
            || (error.kind() == ErrorKind::Backend && self.tries < BACKEND_TRIES);
        let pause = self.pause.min(self.longest);
        self.pause = (self.pause * 2).min(self.longest);
        may_pass.then_some(pause)
    }
}
