use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use downlink::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Keys;

/// More than any cookie and most URLs may have.
const MAX_BYTES: usize = 4_000;

/// A principal and the end of its credentials, as a text that only the server can make:
/// the payload and its signature. The holder can read it.
#[derive(Serialize, Deserialize)]
pub(super) struct Signed<P> {
    pub(super) principal: P,
    /// In seconds since 1970.
    until: u64,
}

/// Why a text is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAccepted {
    /// None of the keys has signed it, or it is not of this type.
    Unknown,
    Expired,
}

impl<P> Signed<P> {
    pub(super) fn until(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.until)
    }
}

/// Signs a principal for this long.
pub(super) fn sign<P: Serialize>(
    keys: &Keys,
    purpose: &str,
    principal: &P,
    lifetime: Duration,
) -> Result<String> {
    let until = since_1970(SystemTime::now()) + lifetime.as_secs();
    let payload = serde_json::to_vec(&Signed { principal, until }).map_err(|error| {
        Error::with_source(ErrorKind::Invalid, "the principal cannot be serialized", error)
    })?;
    let signature = keys.sign(purpose, &payload);
    let text = format!("{}.{}", BASE64.encode(payload), BASE64.encode(signature));
    if text.len() > MAX_BYTES {
        let message = format!("the principal is too large to be signed: {} bytes", text.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(text)
}

/// The principal for which this text was signed.
pub(super) fn verify<P: DeserializeOwned>(
    keys: &Keys,
    purpose: &str,
    text: &str,
) -> Result<Signed<P>, NotAccepted> {
    let signed = parse(keys, purpose, text).ok_or(NotAccepted::Unknown)?;
    if signed.until() <= SystemTime::now() {
        return Err(NotAccepted::Expired);
    }
    Ok(signed)
}

fn parse<P: DeserializeOwned>(keys: &Keys, purpose: &str, text: &str) -> Option<Signed<P>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let (payload, signature) = text.split_once('.')?;
    let (payload, signature) = (BASE64.decode(payload).ok()?, BASE64.decode(signature).ok()?);
    if !keys.verify(purpose, &payload, &signature) {
        return None;
    }
    serde_json::from_slice(&payload).ok()
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;

    fn keys() -> Keys {
        Keys::new(SigningKey::new([7; 32]).unwrap())
    }

    #[test]
    fn only_what_was_signed_for_the_purpose_is_accepted() {
        let text = sign(&keys(), "ticket", &42_u64, Duration::from_mins(1)).unwrap();
        let signed = verify::<u64>(&keys(), "ticket", &text).ok().unwrap();
        assert_eq!(signed.principal, 42);
        assert!(signed.until() > SystemTime::now() + Duration::from_secs(50));
        let error = |keys: &Keys, purpose, text: &str| verify::<u64>(keys, purpose, text).err();
        let unknown = Some(NotAccepted::Unknown);
        assert_eq!(error(&keys(), "cookie", &text), unknown);
        assert_eq!(error(&Keys::new(SigningKey::generate()), "ticket", &text), unknown);
        assert!(verify::<String>(&keys(), "ticket", &text).is_err());
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(error(&keys(), "ticket", std::str::from_utf8(&forged).unwrap()).is_some());
        }
        assert_eq!(error(&keys(), "ticket", &"a.".repeat(MAX_BYTES)), unknown);
    }

    #[test]
    fn what_has_expired_is_told_apart() {
        let text = sign(&keys(), "ticket", &42_u64, Duration::ZERO).unwrap();
        assert_eq!(verify::<u64>(&keys(), "ticket", &text).err(), Some(NotAccepted::Expired));
    }
}
