use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// A hash of the rows of an answer: the first 64 bits of the SHA-256 (FIPS 180-4) of their
/// JSON, so that it is the same on every server.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowsHash(u64);

impl RowsHash {
    /// The hash of these rows, each as the JSON that the server has sent.
    #[must_use]
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = &'a Bytes>) -> Self {
        let mut hasher = Sha256::new();
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 {
                hasher.update(b",");
            }
            hasher.update(row);
        }
        Self::first_of(&hasher.finalize())
    }

    pub(super) fn of(json: &str) -> Self {
        Self::first_of(&Sha256::digest(json.as_bytes()))
    }

    fn first_of(digest: &[u8]) -> Self {
        let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for RowsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RowsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RowsHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_hash = text.len() == 16 && text.bytes().all(is_digit);
        let hash = is_hash.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        hash.map(Self).ok_or_else(|| {
            Error::invalid(
                "a hash of rows is 16 lower-case hex digits: send it as the server returned it",
            )
        })
    }
}

/// What a client holds of a live query: the cursor and the hash of the rows, from which it
/// resumes after a cut or on another server.
///
/// # Examples
///
/// ```
/// use downlink::live::Token;
///
/// let token: Token = "000000000001a2f0-9c41d07e~4f53cda18c2baa0c".parse()?;
/// assert_eq!(token.cursor.to_string(), "000000000001a2f0-9c41d07e");
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The cursor as of which the rows are the answer.
    pub cursor: Cursor,
    /// The hash of the rows.
    pub hash: RowsHash,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.cursor, self.hash)
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('~');
        let token = parts.and_then(|(cursor, hash)| {
            Some(Self { cursor: cursor.parse().ok()?, hash: hash.parse().ok()? })
        });
        token.ok_or_else(|| {
            Error::invalid(
                "a token is a cursor, '~' and 16 lower-case hex digits: send a token exactly as \
                 the server returned it",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // The first 16 digits of the SHA-256 of "abc", the example of FIPS 180-4.
        assert_eq!(RowsHash::of("abc").to_string(), "ba7816bf8f01cfea");
    }

    #[test]
    fn tokens_round_trip_and_others_are_refused() {
        let text = "000000000001a2f0-9c41d07e~4f53cda18c2baa0c";
        assert_eq!(text.parse::<Token>().unwrap().to_string(), text);
        for bad in ["", "~", "000000000001a2f0-9c41d07e", "000000000001a2f0-9c41d07e~", "x~y"] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
        assert!(text.to_uppercase().parse::<Token>().is_err());
        assert!("000000000001a2f0-9c41d07e~+f53cda18c2baa0c".parse::<Token>().is_err());
    }
}
