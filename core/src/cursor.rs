//! Resume tokens.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::id::{EventId, Position};

/// A resume token: "everything up to and including this event was handled".
///
/// A cursor consists of a position and a *check*: 32 bits derived from the id
/// of the event at that position. A log that was restored from a backup, was
/// replaced, or lost its tail grows to the same positions again with other
/// events. The check detects this at the next resume. A cursor does not contain
/// the filter, so a client may change its filter and keep its cursor.
///
/// Cursors are opaque to clients. [`Display`](fmt::Display) and [`FromStr`] use
/// the wire form, `<position, 16 hex digits>-<check, 8 hex digits>`, whose text
/// order is the order of cursors.
///
/// # Examples
///
/// ```
/// use downlink::Cursor;
///
/// let cursor: Cursor = "000000000001a2f0-9c41d07e".parse()?;
/// assert_eq!(cursor.position().get(), 0x1a2f0);
/// assert_eq!(cursor.to_string(), "000000000001a2f0-9c41d07e");
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    position: Position,
    check: u32,
}

impl Cursor {
    /// Before the first event of any log.
    pub const START: Self = Self { position: Position::ZERO, check: 0 };

    /// The length of the wire form in bytes.
    pub const TEXT_LEN: usize = 25;

    /// The cursor of the event with this id at this position.
    #[must_use]
    pub fn of(position: Position, id: EventId) -> Self {
        Self { position, check: id.check() }
    }

    /// The position up to which everything was handled, inclusive.
    #[must_use]
    pub const fn position(self) -> Position {
        self.position
    }

    /// Whether the event with this id is the one that the cursor was made from.
    /// The answer is wrongly `true` with a probability of one in 2³².
    #[must_use]
    pub fn matches(self, id: EventId) -> bool {
        self.check == id.check()
    }
}

impl Cursor {
    /// Writes the text form to `buffer` and returns it. Faster than
    /// [`to_string`](ToString::to_string), for code that renders many events.
    ///
    /// # Examples
    ///
    /// ```
    /// use downlink::Cursor;
    ///
    /// let mut buffer = [0; Cursor::TEXT_LEN];
    /// assert_eq!(Cursor::START.encode(&mut buffer), "0000000000000000-00000000");
    /// ```
    #[expect(clippy::missing_panics_doc, reason = "hex digits and a hyphen are UTF-8")]
    pub fn encode(self, buffer: &mut [u8; Self::TEXT_LEN]) -> &str {
        put_hex(&mut buffer[..16], &self.position.get().to_be_bytes());
        buffer[16] = b'-';
        put_hex(&mut buffer[17..], &self.check.to_be_bytes());
        std::str::from_utf8(buffer).expect("hex digits and a hyphen")
    }
}

fn put_hex(text: &mut [u8], number: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (digits, byte) in text.chunks_exact_mut(2).zip(number) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; Self::TEXT_LEN]))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::invalid(
                "a cursor is 16 lower-case hex digits, '-' and 8 hex digits: \
                 send a cursor exactly as the server returned it",
            )
        })
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let (position, check) = text.split_once('-')?;
    let position = Position::new(hex(position, 16)?)?;
    let check = u32::try_from(hex(check, 8)?).ok()?;
    let start_is_all_zeros = position != Position::ZERO || check == 0;
    start_is_all_zeros.then_some(Cursor { position, check })
}

fn hex(text: &str, digits: usize) -> Option<u64> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.as_bytes().iter().all(lower) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips_and_sorts(a in 1..=i64::MAX.unsigned_abs(), b in 1..=i64::MAX.unsigned_abs(), id: [u8; 16]) {
            let cursor = |n| Cursor::of(Position::new(n).unwrap(), EventId::from_bytes(id));
            let (a, b) = (cursor(a), cursor(b));
            prop_assert_eq!(a.to_string().parse::<Cursor>().unwrap(), a);
            prop_assert_eq!(a.to_string().len(), Cursor::TEXT_LEN);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn malformed_cursors_are_refused() {
        for bad in [
            "",
            "-",
            "7",
            "-1",
            "000000000001a2f0",
            "000000000001a2f0-",
            "000000000001A2F0-9c41d07e",
            "000000000001a2f0-9c41d07e ",
            "000000000001a2f0-9c41d07",
            "+00000000001a2f0-9c41d07e",
            "8000000000000000-00000000",
            "ffffffffffffffff-ffffffff",
            "0000000000000000-00000001",
            "00000000000000000000",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
        assert_eq!("0000000000000000-00000000".parse::<Cursor>().unwrap(), Cursor::START);
        assert!("7fffffffffffffff-00000000".parse::<Cursor>().is_ok());
    }
}
