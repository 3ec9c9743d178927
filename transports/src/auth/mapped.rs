use std::fmt;
use std::hash::Hash;

use async_trait::async_trait;
use http::request::Parts;

use super::{Authenticate, Authenticated};
use crate::feed::Refusal;

/// An authentication with another type of principal. Made by
/// [`AuthenticateExt::map`](super::AuthenticateExt::map).
#[derive(Clone)]
pub struct Mapped<A, F> {
    authentication: A,
    map: F,
}

impl<A, F> Mapped<A, F> {
    pub(super) fn new(authentication: A, map: F) -> Self {
        Self { authentication, map }
    }
}

#[async_trait]
impl<A, F, P> Authenticate for Mapped<A, F>
where
    A: Authenticate,
    F: Fn(A::Principal) -> Option<P> + Send + Sync + 'static,
    P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Result<Option<Authenticated<P>>, Refusal> {
        let found = self.authentication.authenticate(parts).await?;
        Ok(found.and_then(|found| found.and_then(&self.map)))
    }
}

impl<A: fmt::Debug, F> fmt::Debug for Mapped<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapped").field(&self.authentication).finish()
    }
}
