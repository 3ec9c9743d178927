use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::timestamp::Timestamp;

/// The permanent identity of an event: a UUID.
///
/// An append that is repeated with the same ids is stored once, whenever it is
/// repeated. Ids made by [`now`](Self::now) are UUIDs of version 7. They
/// increase with time, which keeps the hot part of a growing log's index small.
///
/// # Examples
///
/// ```
/// use downlink::EventId;
///
/// let id = EventId::now();
/// assert_eq!(id.to_string().parse::<EventId>()?, id);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// Creates a new id, a UUID of version 7, from the current time.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// Derives an id from a time and a name: the same two always yield the same
    /// id.
    ///
    /// Use it for events that may be appended again by a program that has kept
    /// no state, such as an import of the lines of a file. The time should be
    /// close to that of the event, so that ids increase along the log like
    /// those of [`now`](Self::now).
    #[must_use]
    pub fn derived(at: Timestamp, name: &[u8]) -> Self {
        let [_, _, millis @ ..] = (at.as_micros() / 1_000).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis);
        Self::from_bytes(bytes).derive(name)
    }

    /// Derives an id from this id and a name: the same two always yield the
    /// same id.
    ///
    /// The derived id has the timestamp of this id, its first 48 bits. The bits
    /// that are random in version 7 are taken from the SHA-1 of both.
    #[must_use]
    pub fn derive(self, name: &[u8]) -> Self {
        let mut bytes = *Uuid::new_v5(&self.0, name).as_bytes();
        bytes[..6].copy_from_slice(&self.as_bytes()[..6]);
        // Version 7 in the upper half of this byte. The variant is the same for all versions.
        bytes[6] = bytes[6] & 0x0f | 0x70;
        Self::from_bytes(bytes)
    }

    /// The id with these 16 bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The 32 bits of this id that a [`Cursor`](crate::Cursor) contains.
    ///
    /// The 64-bit FNV-1a hash of the 16 bytes, with its halves combined by
    /// exclusive or. It must never change, since cursors outlive the process.
    #[must_use]
    pub(crate) fn check(self) -> u32 {
        let hash = self.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let low = u32::try_from(hash & u64::from(u32::MAX)).expect("32 bits are left");
        let high = u32::try_from(hash >> 32).expect("32 bits are left");
        high ^ low
    }

    /// The length of the text form in bytes.
    pub const TEXT_LEN: usize = 36;

    /// Writes the text form to `buffer` and returns it, as
    /// [`Cursor::encode`](crate::Cursor::encode) does for cursors.
    pub fn encode(self, buffer: &mut [u8; Self::TEXT_LEN]) -> &str {
        self.0.as_hyphenated().encode_lower(buffer)
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<EventId> for Uuid {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl FromStr for EventId {
    type Err = Error;

    /// Parses the hyphenated form of 36 characters. Upper case is accepted.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() != 36 {
            return Err(Error::invalid(format!(
                "an event id is a UUID of 36 characters, but this has {}",
                text.len()
            )));
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|error| Error::invalid(format!("an event id has to be a UUID: {error}")))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_moment_have_different_checks() {
        let mut checks: Vec<u32> = (0..1_000).map(|_| EventId::now().check()).collect();
        checks.sort_unstable();
        checks.dedup();
        // 1,000 draws of 32 bits collide about once in 8,600 runs; two pairs are beyond chance.
        assert!(checks.len() >= 999, "only {} different checks", checks.len());
    }

    #[test]
    fn derived_ids_keep_their_moment_and_are_version_7() {
        let base = EventId::now();
        let ids = [&b"a"[..], b"b", b""].map(|name| base.derive(name));
        for id in ids {
            assert_eq!(id.as_bytes()[..6], base.as_bytes()[..6]);
            let id = Uuid::from(id);
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        }
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != base);
        assert_ne!(base.derive(b"a"), EventId::now().derive(b"a"));
    }

    #[test]
    fn derived_ids_never_change() {
        let at: Timestamp = "2013-01-01T10:15:00Z".parse().unwrap();
        let id = EventId::derived(at, b"UA1545");
        assert_eq!(id, EventId::derived(at, b"UA1545"));
        assert_eq!(id.to_string(), "013bf59b-64a0-7c45-9bf0-211cf57f7202");
        let later = Timestamp::from_micros(at.as_micros() + 1_000);
        assert!(id < EventId::derived(later, b"UA1545"));
    }

    #[test]
    fn the_check_never_changes() {
        let id: EventId = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11".parse().unwrap();
        assert_eq!(id.check(), EventId::from_bytes(*id.as_bytes()).check());
        assert_eq!(EventId::from_bytes([0; 16]).check(), fnv_of_sixteen_zeros());
    }

    // A byte of zero only multiplies: the offset basis times the prime to the 16th.
    fn fnv_of_sixteen_zeros() -> u32 {
        let hash =
            0xcbf2_9ce4_8422_2325_u64.wrapping_mul(0x0000_0100_0000_01b3_u64.wrapping_pow(16));
        u32::try_from(hash >> 32).unwrap() ^ u32::try_from(hash & 0xffff_ffff).unwrap()
    }

    #[test]
    fn only_the_hyphenated_form_is_accepted() {
        assert!("0198c0de7a107c3e9b1f2f6f0d9a4e11".parse::<EventId>().is_err());
        assert!("".parse::<EventId>().is_err());
        assert!("0198C0DE-7A10-7C3E-9B1F-2F6F0D9A4E11".parse::<EventId>().is_ok());
    }
}
