use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::request::Parts;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Authenticate, Authenticated, JwtKeys, bearer_token};
use crate::feed::Refusal;

/// How far the clocks of the login service and of this server may be apart.
const LEEWAY: Duration = Duration::from_mins(1);

/// JSON Web Tokens of a login service, sent as `Authorization: Bearer`.
///
/// The principal is deserialized from the claims, so it is a type with the fields that
/// the application needs, such as `sub`. A token has to have `exp`, this `iss` and this
/// `aud`; `exp` and `nbf` have a leeway of 60 seconds. The rights end with the token.
///
/// The key is one of those that are configured: `kid` selects among them, each is for one
/// algorithm, and keys or addresses of keys in the token (`jwk`, `jku`, `x5c`, `x5u`) are
/// ignored.
///
/// # Examples
///
/// ```
/// use downlink_transports::auth::{AuthenticateExt, Jwt, JwtKey, JwtKeys};
/// use downlink_transports::feed::Rights;
/// use serde::Deserialize;
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
/// struct User {
///     sub: String,
/// }
///
/// let keys = JwtKeys::new([JwtKey::hs256([7; 32])?.with_id("2026-11")]);
/// let jwt = Jwt::new(keys.clone(), "https://login.example", "orders");
/// let authorizer = jwt.with_rights(async |_user: User| Ok(Rights::everything().read_only()));
/// // When the login service has new keys:
/// keys.replace([JwtKey::hs256([8; 32])?.with_id("2026-12")]);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Jwt<P> {
    keys: JwtKeys,
    issuer: String,
    audience: String,
    principal: PhantomData<fn() -> P>,
}

impl<P> Jwt<P> {
    /// Tokens of this issuer (`iss`) for this audience (`aud`).
    pub fn new(keys: JwtKeys, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        Self { keys, issuer, audience, principal: PhantomData }
    }

    fn verify(&self, token: &str) -> Result<Authenticated<P>, Refusal>
    where
        P: DeserializeOwned + Clone,
    {
        let header = decode_header(token).map_err(|_| unknown())?;
        let key = self.keys.find(header.kid.as_deref()).ok_or_else(unknown)?;
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let claims = decode::<Value>(token, &key.key, &validation);
        let claims = claims.map_err(|error| refused(error.kind()))?.claims;
        let exp = claims["exp"].as_f64().ok_or_else(unknown)?;
        let principal = serde_json::from_value(claims).map_err(|_| unknown())?;
        // Accepted for the leeway too, so the rights have to last as long.
        let until = Duration::try_from_secs_f64(exp).unwrap_or(Duration::MAX);
        let until = SystemTime::UNIX_EPOCH.checked_add(until.saturating_add(LEEWAY));
        let found = Authenticated::new(principal);
        Ok(match until {
            Some(until) => found.with_expiry(until),
            None => found,
        })
    }
}

#[async_trait]
impl<P> Authenticate for Jwt<P>
where
    P: DeserializeOwned + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Result<Option<Authenticated<P>>, Refusal> {
        let token = bearer_token(parts).filter(|token| token.split('.').count() == 3);
        token.map(|token| self.verify(token)).transpose()
    }
}

fn unknown() -> Refusal {
    Refusal::unauthenticated("the token is not one that this server accepts: log in again")
}

/// The texts say what to do, and nothing of what is in the token.
fn refused(why: &ErrorKind) -> Refusal {
    match why {
        ErrorKind::ExpiredSignature => {
            Refusal::unauthenticated("the token has expired: log in again")
        }
        ErrorKind::ImmatureSignature => {
            Refusal::unauthenticated("the token is not valid yet: check the clock of its issuer")
        }
        _ => unknown(),
    }
}

impl<P> fmt::Debug for Jwt<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
