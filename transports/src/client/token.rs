use std::sync::Arc;
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::HeaderValue;
use tokio::time::timeout;

use super::failure::{Cause, Failure};

/// Why a client asks for a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenReason {
    /// A connection is opened. Any valid token will do, such as a cached one.
    #[default]
    Connect,
    /// The last token was refused, or it expired: get a new one.
    Renew,
}

type Provide = dyn Fn(TokenReason) -> BoxFuture<'static, Result<String>> + Send + Sync;

/// The caller's function that returns bearer tokens.
#[derive(Clone)]
pub(super) struct TokenProvider(Arc<Provide>);

impl TokenProvider {
    pub(super) fn new<P, T>(provide: P) -> Self
    where
        P: Fn(TokenReason) -> T + Send + Sync + 'static,
        T: Future<Output = Result<String>> + Send + 'static,
    {
        Self(Arc::new(move |reason| provide(reason).boxed()))
    }

    /// A value of `Authorization`. The token is in no error and in no log.
    pub(super) async fn header(
        &self,
        reason: TokenReason,
        deadline: Duration,
    ) -> Result<HeaderValue, Failure> {
        let Ok(provided) = timeout(deadline, (self.0)(reason)).await else {
            let message = format!("the token provider returned nothing for {deadline:?}");
            return Err(Failure::unavailable(message));
        };
        bearer(&provided.map_err(not_provided)?)
    }
}

/// Only `Invalid` is permanent: a provider fails mostly because another server
/// cannot be reached, whatever kind it gives to that.
fn not_provided(error: Error) -> Failure {
    let kind = error.kind();
    let message = format!("the token provider failed: {error}");
    let cause = if kind == ErrorKind::Invalid { Cause::Permanent } else { Cause::Temporary };
    Failure { cause, ..Error::with_source(kind, message, error).into() }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let is_valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| is_valid);
    let mut value = value.ok_or_else(|| {
        let message = "the token provider returned a token that is empty or has characters other \
                       than visible ASCII: check for a line break at its end";
        Error::new(ErrorKind::Invalid, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    async fn header(token: Result<&'static str>) -> Result<HeaderValue, Failure> {
        let token = token.map(str::to_owned);
        let provider = TokenProvider::new(move |_| std::future::ready(token.clone()));
        provider.header(TokenReason::Connect, DEADLINE).await
    }

    #[tokio::test]
    async fn a_token_is_a_sensitive_header() {
        let value = header(Ok("abc.DEF-_~+/=")).await.unwrap();
        assert_eq!(value, "Bearer abc.DEF-_~+/=");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_sent_is_permanent_and_not_in_the_error() {
        for token in ["", "s3cret\n", "s3cret\r\nx: y", "s3 cret", "s3crèt"] {
            let failure = header(Ok(token)).await.unwrap_err();
            assert_eq!(failure.cause, Cause::Permanent, "{token:?}");
            assert!(!format!("{failure:?}").contains("s3"), "{failure:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_fails_is_asked_again_unless_it_says_that_the_call_is_invalid() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Backend, ErrorKind::Corrupt] {
            let failure = header(Err(Error::new(kind, "down"))).await.unwrap_err();
            assert_eq!((failure.cause, failure.error.kind()), (Cause::Temporary, kind));
            assert!(failure.error.to_string().contains("down"));
        }
        let invalid = Error::new(ErrorKind::Invalid, "the account was closed");
        assert_eq!(header(Err(invalid)).await.unwrap_err().cause, Cause::Permanent);
        let provider = TokenProvider::new(|_| std::future::pending());
        let failure = provider.header(TokenReason::Renew, DEADLINE).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Temporary);
    }
}
