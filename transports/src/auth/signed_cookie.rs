use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use downlink::Result;
use http::HeaderValue;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cookie::CookieName;
use super::signed::{self, Signed};
use super::{Authenticate, Authenticated, Keys};
use crate::feed::Refusal;

/// Sessions in a signed cookie: the server keeps no table of them.
///
/// The principal is in the cookie, as JSON that its holder can read. A session ends when
/// it expires, or all of them with their key; to end a single one before, look it up in a
/// table ([`CookieLookup`](super::CookieLookup)) or refuse its principal rights.
///
/// Pages of other sites cannot use the cookie: it is `SameSite=Lax`, and the feed checks
/// the origin of every request that a cookie may authenticate; see
/// [`Feed::with_authorizer`](crate::feed::Feed::with_authorizer). Apply
/// [`Feed::guard`](crate::feed::Feed::guard) to your own routes.
///
/// # Examples
///
/// ```
/// use axum::response::IntoResponse;
/// use downlink_transports::auth::{Keys, SignedCookie, SigningKey};
/// use http::header::SET_COOKIE;
///
/// let sessions = SignedCookie::new("__Host-session", Keys::new(SigningKey::generate()));
/// // After the password was checked:
/// let response = ([(SET_COOKIE, sessions.issue(&"ann".to_owned())?)], "welcome").into_response();
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SignedCookie<P> {
    name: CookieName,
    purpose: String,
    keys: Keys,
    lifetime: Duration,
    principal: PhantomData<fn() -> P>,
}

impl<P> SignedCookie<P> {
    /// Sessions in the cookie of this name, signed with these keys.
    ///
    /// # Panics
    ///
    /// Panics if the name does not begin with `__Host-`, because another host could
    /// then set the cookie.
    pub fn new(name: impl Into<String>, keys: Keys) -> Self {
        let name = CookieName::new(name);
        let purpose = format!("cookie {name}");
        let lifetime = Duration::from_hours(12);
        Self { name, purpose, keys, lifetime, principal: PhantomData }
    }

    /// How long a session lasts: 12 hours by default.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Begins a session: a value of `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the principal cannot be written as
    /// JSON, [`TooLarge`](downlink::ErrorKind::TooLarge) if it is too large for a cookie.
    pub fn issue(&self, principal: &P) -> Result<HeaderValue>
    where
        P: Serialize,
    {
        let value = signed::sign(&self.keys, &self.purpose, principal, self.lifetime)?;
        Ok(self.set(&value, self.lifetime))
    }

    /// Ends the session of the browser: a value of `Set-Cookie`.
    #[must_use]
    pub fn removal(&self) -> HeaderValue {
        self.set("", Duration::ZERO)
    }

    fn set(&self, value: &str, lifetime: Duration) -> HeaderValue {
        let (name, seconds) = (&self.name, lifetime.as_secs());
        let cookie =
            format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
        let mut cookie = HeaderValue::try_from(cookie).expect("base64 in a header");
        cookie.set_sensitive(true);
        cookie
    }
}

#[async_trait]
impl<P> Authenticate for SignedCookie<P>
where
    P: DeserializeOwned + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Result<Option<Authenticated<P>>, Refusal> {
        let Some(value) = self.name.value(parts) else { return Ok(None) };
        // Browsers send an old cookie by themselves, beside a ticket that is valid.
        let signed = signed::verify(&self.keys, &self.purpose, value).ok();
        Ok(signed.map(|signed: Signed<P>| {
            let until = signed.until();
            Authenticated::new(signed.principal).with_expiry(until)
        }))
    }
}

impl<P> fmt::Debug for SignedCookie<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCookie").field("name", &self.name).finish_non_exhaustive()
    }
}
