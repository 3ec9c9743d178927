use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;

use super::cookie::CookieName;
use super::{Authenticate, Authenticated};
use crate::feed::Refusal;

type Found<P> = Result<Option<Authenticated<P>>, Refusal>;

/// Sessions in a table of the application, under the value of a cookie: a random text
/// of at least 128 bits, of which the table has the hash.
///
/// What [`SignedCookie`](super::SignedCookie) says about pages of other sites is true
/// for these cookies too. Set them with `Path=/; Secure; HttpOnly; SameSite=Lax`.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
///
/// use downlink_transports::auth::{Authenticated, CookieLookup};
///
/// let sessions = HashMap::from([("a long random text".to_owned(), "ann")]);
/// let cookies = CookieLookup::new("__Host-session", move |value: String| {
///     let session = sessions.get(&value).copied().map(Authenticated::new);
///     async move { Ok(session) }
/// });
/// ```
#[derive(Clone)]
#[must_use]
pub struct CookieLookup<P> {
    name: CookieName,
    look_up: Arc<dyn Fn(String) -> BoxFuture<'static, Found<P>> + Send + Sync>,
}

impl<P> CookieLookup<P> {
    /// Looks up the value of the cookie of this name: `None` if there is no such session.
    ///
    /// # Panics
    ///
    /// Panics if the name does not begin with `__Host-`, because another host could
    /// then set the cookie.
    pub fn new<F, Fut>(name: impl Into<String>, look_up: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Found<P>> + Send + 'static,
    {
        let look_up = Arc::new(move |value| look_up(value).boxed());
        Self { name: CookieName::new(name), look_up }
    }
}

#[async_trait]
impl<P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> Authenticate for CookieLookup<P> {
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Found<P> {
        let Some(value) = self.name.value(parts) else { return Ok(None) };
        (self.look_up)(value.to_owned()).await
    }
}

impl<P> fmt::Debug for CookieLookup<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieLookup").field("name", &self.name).finish_non_exhaustive()
    }
}
