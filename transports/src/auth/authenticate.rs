use std::fmt;
use std::hash::Hash;

use async_trait::async_trait;
use http::request::Parts;

use super::{Authenticated, Authorizer, Mapped, Or};
use crate::feed::{Refusal, Rights};

/// Says who sent a request.
///
/// # Contract
///
/// `None` means that the request has no credentials of this kind, or none that this
/// knows, so that [another](AuthenticateExt::or) may find some. A [`Refusal`] ends the
/// search: for credentials that were meant for this and are wrong, such as an expired
/// ticket. No secret may be in its text.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The application's own type of a principal, such as the number of a user.
    type Principal: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static;

    /// Returns who sent this request.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] for credentials that are wrong.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client disconnects.
    async fn authenticate(
        &self,
        parts: &Parts,
    ) -> Result<Option<Authenticated<Self::Principal>>, Refusal>;
}

/// Combines authentications, and makes authorizers of them.
pub trait AuthenticateExt: Authenticate + Sized {
    /// Asks `other` if this finds no credentials.
    fn or<O: Authenticate<Principal = Self::Principal>>(self, other: O) -> Or<Self, O> {
        Or::new(self, other)
    }

    /// Makes another principal of this one, such as a user of the claims of a token;
    /// with `None` the credentials count as unknown.
    fn map<F, P>(self, map: F) -> Mapped<Self, F>
    where
        F: Fn(Self::Principal) -> Option<P> + Send + Sync + 'static,
    {
        Mapped::new(self, map)
    }

    /// Decides what each principal may see: an authorizer for
    /// [`Feed::with_authorizer`](crate::feed::Feed::with_authorizer). It sets the
    /// [principal](crate::feed::Rights::with_principal) of the rights, and ends them
    /// with the credentials.
    fn with_rights<F, Fut>(self, rights: F) -> Authorizer<Self, F>
    where
        F: Fn(Self::Principal) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Rights, Refusal>> + Send,
    {
        Authorizer::new(self, rights)
    }
}

impl<A: Authenticate> AuthenticateExt for A {}
