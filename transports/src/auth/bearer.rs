use std::fmt;
use std::hash::Hash;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{Authenticate, Authenticated, SigningKey};
use crate::feed::Refusal;

/// The token of the one `Authorization: Bearer` header of a request, for
/// authentications of your own.
#[must_use]
pub fn bearer_token(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Bearer tokens that the application lists, such as those of its scripts. They are
/// compared in constant time, and not kept: only their hashes are, under a key of this
/// process.
///
/// A token that is not listed counts as unknown, so that another authentication may
/// know it. For tokens in a table of the application, implement [`Authenticate`] with
/// [`bearer_token`].
///
/// # Examples
///
/// ```
/// use downlink_transports::auth::BearerTokens;
///
/// let tokens = BearerTokens::new().with_token("a long random text", "the import script");
/// ```
#[derive(Clone)]
#[must_use]
pub struct BearerTokens<P> {
    /// Of this process, so that the hashes say nothing about the tokens.
    key: SigningKey,
    tokens: Vec<([u8; 32], P)>,
}

impl<P> BearerTokens<P> {
    /// No tokens.
    pub fn new() -> Self {
        Self { key: SigningKey::generate(), tokens: Vec::new() }
    }

    /// Accepts this token as that of this principal.
    pub fn with_token(mut self, token: impl AsRef<str>, principal: P) -> Self {
        self.tokens.push((self.key.sign(PURPOSE, token.as_ref().as_bytes()), principal));
        self
    }

    /// Compares with every token, so that the time does not say which one it is like.
    fn find(&self, token: &str) -> Option<&P> {
        let is_same = |hash: &[u8; 32]| self.key.verify(PURPOSE, token.as_bytes(), hash);
        let same = self.tokens.iter().filter(|(hash, _)| is_same(hash));
        same.fold(None, |found, (_, principal)| found.or(Some(principal)))
    }
}

const PURPOSE: &str = "bearer";

impl<P> Default for BearerTokens<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl<P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> Authenticate for BearerTokens<P> {
    type Principal = P;

    async fn authenticate(&self, parts: &Parts) -> Result<Option<Authenticated<P>>, Refusal> {
        let found = bearer_token(parts).and_then(|token| self.find(token));
        Ok(found.cloned().map(Authenticated::new))
    }
}

impl<P: fmt::Debug> fmt::Debug for BearerTokens<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principals = self.tokens.iter().map(|(_, principal)| principal);
        f.debug_list().entries(principals).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(headers: &[&str]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::builder(), |request, value| request.header(AUTHORIZATION, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_one_bearer_token_is_read() {
        assert_eq!(bearer_token(&request(&["Bearer a"])), Some("a"));
        assert_eq!(bearer_token(&request(&["bEARER  a "])), Some("a"));
        for headers in [&[][..], &["Bearer a", "Bearer a"], &["Basic a"], &["Bearer "], &["a"]] {
            assert_eq!(bearer_token(&request(headers)), None, "{headers:?}");
        }
    }

    #[test]
    fn a_token_is_known_as_a_whole() {
        let tokens = BearerTokens::new().with_token("one", 1).with_token("two", 2);
        assert_eq!(tokens.find("one"), Some(&1));
        assert_eq!(tokens.find("two"), Some(&2));
        for other in ["", "on", "one ", "One", "three"] {
            assert_eq!(tokens.find(other), None, "{other}");
        }
        assert!(!format!("{tokens:?}").contains("one"));
    }
}
