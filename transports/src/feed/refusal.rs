use std::time::Duration;

use http::HeaderValue;

use crate::wire::{Code, Problem};

/// Why a request is not authorized.
///
/// # Examples
///
/// ```
/// use downlink_transports::feed::Refusal;
///
/// let refusal = Refusal::unauthenticated("send a bearer token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Refusal {
    problem: Problem,
}

impl Refusal {
    /// 401: the client is not authenticated. The response asks for a bearer
    /// token unless [`with_challenge`](Self::with_challenge) sets something else.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::of(Code::Unauthenticated, detail).with_challenge(HeaderValue::from_static("Bearer"))
    }

    /// 403: the client may see nothing at all. If it may see a part, return
    /// [`Rights`](super::Rights) to that part instead.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::of(Code::Forbidden, detail)
    }

    /// 429: the client sends too many requests, or has too many streams open.
    pub fn limited(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self { problem: Problem::new(Code::Limit, detail).with_retry_after(retry_after) }
    }

    /// 503: the rights of the client cannot be determined now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::of(Code::Unavailable, detail)
    }

    /// Sets the `WWW-Authenticate` header of the response: `Bearer` by default
    /// for [`unauthenticated`](Self::unauthenticated).
    pub fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.problem = self.problem.with_challenge(challenge);
        self
    }

    fn of(code: Code, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(code, detail) }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.problem
    }
}
