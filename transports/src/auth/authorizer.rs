use std::fmt;

use async_trait::async_trait;
use http::request::Parts;

use super::{Authenticate, Authenticated};
use crate::feed::{Authorize, Refusal, Rights};

/// Authenticates a request, and then decides what its principal may see. Made by
/// [`AuthenticateExt::with_rights`](super::AuthenticateExt::with_rights).
///
/// The function is `async fn(principal) -> Result<Rights, Refusal>`.
pub struct Authorizer<A, F> {
    authentication: A,
    rights: F,
}

impl<A, F> Authorizer<A, F> {
    pub(super) fn new(authentication: A, rights: F) -> Self {
        Self { authentication, rights }
    }
}

#[async_trait]
impl<A, F, Fut> Authorize for Authorizer<A, F>
where
    A: Authenticate,
    F: Fn(A::Principal) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Rights, Refusal>> + Send,
{
    async fn authorize(&self, parts: &Parts) -> Result<Rights, Refusal> {
        let found = self.authentication.authenticate(parts).await?;
        let found = found.ok_or_else(unknown)?;
        let rights = (self.rights)(found.principal().clone()).await?;
        Ok(found.limit(rights).with_principal(Authenticated::principal(&found).clone()))
    }
}

fn unknown() -> Refusal {
    Refusal::unauthenticated("the request has no credentials that are known here: log in again")
}

impl<A, F> fmt::Debug for Authorizer<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorizer")
    }
}
