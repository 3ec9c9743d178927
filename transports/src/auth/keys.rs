use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use downlink::{Error, ErrorKind, Result};
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;

/// The bytes of a generated key, and the fewest of any.
const KEY_BYTES: usize = 32;

/// A secret with which this server signs [tickets](super::Tickets) and
/// [cookies](super::SignedCookie). Its `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// A key of these bytes, from the secrets of the application: random ones, such as
    /// of `openssl rand 32`, not a password.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for fewer than 32 bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        if bytes.len() < KEY_BYTES {
            let message = format!(
                "a signing key has {} bytes: make one of at least {KEY_BYTES} random ones",
                bytes.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self::of(bytes))
    }

    /// A random key, which only this process knows: what it signs is void after a
    /// restart, and in other processes.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; KEY_BYTES];
        OsRng.try_fill_bytes(&mut bytes).expect("the system has random numbers");
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"))
    }

    pub(super) fn sign(&self, purpose: &str, payload: &[u8]) -> [u8; 32] {
        self.mac(purpose, payload).finalize().into_bytes().into()
    }

    /// Whether this is the signature of the payload. Takes the same time for every
    /// signature of the same length.
    pub(super) fn verify(&self, purpose: &str, payload: &[u8], signature: &[u8]) -> bool {
        self.mac(purpose, payload).verify_slice(signature).is_ok()
    }

    /// The purpose keeps a cookie from being used as a ticket. No purpose contains NUL.
    fn mac(&self, purpose: &str, payload: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(purpose).chain_update([0]).chain_update(payload)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

/// The keys of a server: one that signs, and former ones that are still accepted.
///
/// Clones share them, so that keys can be [replaced](Self::replace) while the server
/// runs. To change the key of several processes without refusing a client: first accept
/// the new key in all of them, then sign with it, and drop the old one when what it
/// signed has expired.
///
/// # Examples
///
/// ```
/// use downlink_transports::auth::{Keys, SigningKey};
///
/// let (old, new) = (SigningKey::generate(), SigningKey::generate());
/// let keys = Keys::new(old.clone());
/// keys.replace(new, [old]);
/// ```
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Vec<SigningKey>>>);

impl Keys {
    /// Signs with this key, and accepts no other.
    #[must_use]
    pub fn new(issuing: SigningKey) -> Self {
        Self(Arc::new(RwLock::new(vec![issuing])))
    }

    /// From now on signs with `issuing`, and accepts it and these only. What a key
    /// signed that is no longer accepted is refused; streams that are open stay open
    /// until they rotate or expire.
    pub fn replace(&self, issuing: SigningKey, accepted: impl IntoIterator<Item = SigningKey>) {
        let keys = std::iter::once(issuing).chain(accepted).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn sign(&self, purpose: &str, payload: &[u8]) -> [u8; 32] {
        self.read(|keys| keys[0].sign(purpose, payload))
    }

    /// Whether one of the keys has signed the payload.
    pub(super) fn verify(&self, purpose: &str, payload: &[u8], signature: &[u8]) -> bool {
        self.read(|keys| keys.iter().any(|key| key.verify(purpose, payload, signature)))
    }

    fn read<T>(&self, read: impl FnOnce(&[SigningKey]) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_key_is_accepted_as_long_as_it_is_listed() {
        let (old, new) = (SigningKey::generate(), SigningKey::generate());
        let keys = Keys::new(old.clone());
        let signature = keys.sign("test", b"payload");
        keys.replace(new.clone(), [old]);
        assert!(keys.verify("test", b"payload", &signature));
        assert!(!keys.verify("other", b"payload", &signature));
        assert!(!keys.verify("test", b"Payload", &signature));
        assert!(!keys.verify("test", b"payload", &signature[1..]));
        assert_ne!(keys.sign("test", b"payload"), signature);
        keys.replace(new, []);
        assert!(!keys.verify("test", b"payload", &signature));
    }

    #[test]
    fn short_keys_are_refused_and_none_is_shown() {
        assert!(SigningKey::new([7; 31]).is_err());
        let shown = format!("{:?}", Keys::new(SigningKey::new([7; 32]).unwrap()));
        assert!(!shown.contains('7'), "{shown}");
    }
}
