use async_trait::async_trait;
use http::request::Parts;

use super::{Authenticate, Authenticated};
use crate::feed::Refusal;

/// Two authentications, of which the second is asked if the first finds no
/// credentials. Made by [`AuthenticateExt::or`](super::AuthenticateExt::or).
#[derive(Clone, Debug)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

impl<A, B> Or<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

#[async_trait]
impl<A, B> Authenticate for Or<A, B>
where
    A: Authenticate,
    B: Authenticate<Principal = A::Principal>,
{
    type Principal = A::Principal;

    async fn authenticate(
        &self,
        parts: &Parts,
    ) -> Result<Option<Authenticated<A::Principal>>, Refusal> {
        match self.first.authenticate(parts).await? {
            Some(found) => Ok(Some(found)),
            None => self.second.authenticate(parts).await,
        }
    }
}
