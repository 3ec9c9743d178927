use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use downlink::{Error, ErrorKind, Result};
use jsonwebtoken::{Algorithm, DecodingKey};

/// A key with which a login service signs tokens, for one algorithm only. A token that
/// names another algorithm is refused, `none` included.
#[derive(Clone)]
pub struct JwtKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl JwtKey {
    /// A secret that is shared with the login service (`HS256`).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for fewer than 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self> {
        let secret = secret.as_ref();
        if secret.len() < 32 {
            let message = "the secret of HS256 tokens has fewer than 32 bytes: use 32 random ones";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Self::of(Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// A public RSA key in PEM (`RS256`).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for anything else.
    pub fn rs256(pem: impl AsRef<[u8]>) -> Result<Self> {
        Self::of(Algorithm::RS256, DecodingKey::from_rsa_pem(pem.as_ref()))
    }

    /// A public key of the curve P-256 in PEM (`ES256`).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for anything else.
    pub fn es256(pem: impl AsRef<[u8]>) -> Result<Self> {
        Self::of(Algorithm::ES256, DecodingKey::from_ec_pem(pem.as_ref()))
    }

    /// A public Ed25519 key in PEM (`EdDSA`).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for anything else.
    pub fn eddsa(pem: impl AsRef<[u8]>) -> Result<Self> {
        Self::of(Algorithm::EdDSA, DecodingKey::from_ed_pem(pem.as_ref()))
    }

    /// The key for tokens with this `kid`. By default, for tokens without one.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    fn of(algorithm: Algorithm, key: jsonwebtoken::errors::Result<DecodingKey>) -> Result<Self> {
        let key = key.map_err(|error| {
            let message = format!("this is not a key for {algorithm:?}: give a public key in PEM");
            Error::with_source(ErrorKind::Invalid, message, error)
        })?;
        Ok(Self { id: None, algorithm, key })
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The keys of a login service. Clones share them, so that they can be
/// [replaced](Self::replace) while the server runs, say by a task that fetches them.
#[derive(Clone, Debug)]
pub struct JwtKeys(Arc<RwLock<Vec<JwtKey>>>);

impl JwtKeys {
    /// Accepts tokens of these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = JwtKey>) -> Self {
        Self(Arc::new(RwLock::new(keys.into_iter().collect())))
    }

    /// From now on accepts tokens of these keys only. Streams that are open stay open
    /// until they rotate or their token expires.
    pub fn replace(&self, keys: impl IntoIterator<Item = JwtKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys.into_iter().collect();
    }

    /// The key of this `kid`, which selects among those that are configured only.
    pub(super) fn find(&self, id: Option<&str>) -> Option<JwtKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.id.as_deref() == id).cloned()
    }
}
