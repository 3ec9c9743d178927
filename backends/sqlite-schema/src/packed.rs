//! Events packed into one value each, for a driver in which each value of a row is
//! expensive.
//!
//! The numbers, and the lengths of the texts and bytes, come first, each followed by a
//! comma; an empty length is NULL. The texts and bytes follow. A value may hold several
//! packed events one after the other.

use std::str::FromStr;

use downlink::{Error, ErrorKind, Result};

use crate::event_row::EventRow;

macro_rules! packed {
    () => {
        "CAST(concat(\
         e.position, ',', e.stream, ',', e.version, ',', e.prev, ',', e.jump, ',', e.type, ',', e.recorded_at, ',', \
         length(e.id), ',', length(CAST(e.content_type AS BLOB)), ',', length(e.tags), ',', length(e.metadata), ',', \
         length(e.payload), ',', e.id, e.content_type, e.tags, e.metadata, e.payload) AS BLOB)"
    };
}
pub(crate) use packed;

/// An event as one value: an expression on a row of `events e`.
pub const PACKED: &str = packed!();

/// The rows in a value of packed events.
///
/// Ends with [`Corrupt`](ErrorKind::Corrupt) at the first malformed event.
pub fn unpack(value: &[u8]) -> impl Iterator<Item = Result<EventRow<'_>>> {
    let mut rest = Rest(value);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let row = rest.event();
        if row.is_err() {
            rest = Rest(&[]);
        }
        Some(row.map_err(|Broken| {
            Error::new(ErrorKind::Corrupt, "the file has an event with invalid columns")
        }))
    })
}

/// The part of a value that was not read yet.
struct Rest<'a>(&'a [u8]);

/// The rest is not a packed event.
struct Broken;

impl<'a> Rest<'a> {
    fn event(&mut self) -> Result<EventRow<'a>, Broken> {
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = self.number()?.ok_or(Broken)?;
        }
        let [position, stream, version, prev, jump, event_type, recorded_at] = numbers;
        let mut lengths = [None; 5];
        for length in &mut lengths {
            *length = self.number()?;
        }
        let [id, content_type, tags, metadata, payload] = lengths;
        Ok(EventRow {
            position,
            id: self.bytes(id)?.ok_or(Broken)?,
            stream,
            version,
            prev,
            jump,
            event_type,
            recorded_at,
            content_type: self
                .bytes(content_type)?
                .map(|name| std::str::from_utf8(name).map_err(|_| Broken))
                .transpose()?,
            tags: self.bytes(tags)?,
            metadata: self.bytes(metadata)?,
            payload: self.bytes(payload)?.ok_or(Broken)?,
        })
    }

    /// Reads up to the next comma; `None` if nothing comes before it.
    fn number<T: FromStr>(&mut self) -> Result<Option<T>, Broken> {
        let comma = self.0.iter().position(|byte| *byte == b',').ok_or(Broken)?;
        let (digits, rest) = self.0.split_at(comma);
        self.0 = &rest[1..];
        if digits.is_empty() {
            return Ok(None);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| Broken)?;
        digits.parse().map(Some).map_err(|_| Broken)
    }

    /// Reads this many bytes; `None` for NULL.
    fn bytes(&mut self, length: Option<usize>) -> Result<Option<&'a [u8]>, Broken> {
        let Some(length) = length else { return Ok(None) };
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(Some(taken))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(numbers: [i64; 7], values: [Option<&[u8]>; 5]) -> Vec<u8> {
        let numbers = numbers.map(|number| number.to_string());
        let lengths =
            values.map(|value| value.map_or(String::new(), |value| value.len().to_string()));
        let text = format!("{},{},", numbers.join(","), lengths.join(","));
        [text.as_bytes(), &values.map(Option::unwrap_or_default).concat()].concat()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            position: i64,
            tags: Option<Vec<u8>>,
            metadata: Option<Vec<u8>>,
            content_type in prop::option::of("[a-z/,0-9]{0,9}"),
            payload: Vec<u8>,
        ) {
            let content_type = content_type.as_deref();
            let one = pack([position, 2, 3, 4, 5, 6, 7], [
                Some(&[9; 16]), content_type.map(str::as_bytes), tags.as_deref(), metadata.as_deref(), Some(&payload),
            ]);
            let both = [one.clone(), one].concat();
            let rows: Vec<_> = unpack(&both).map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), 2);
            for row in rows {
                prop_assert_eq!((row.position, row.stream, row.version), (position, 2, 3));
                prop_assert_eq!((row.prev, row.jump, row.event_type, row.recorded_at), (4, 5, 6, 7));
                prop_assert_eq!((row.id, row.content_type), (&[9; 16][..], content_type));
                prop_assert_eq!((row.tags, row.metadata), (tags.as_deref(), metadata.as_deref()));
                prop_assert_eq!(row.payload, payload.as_slice());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let rows: Vec<_> = unpack(&bytes).collect();
            prop_assert!(rows.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    #[test]
    fn half_an_event_is_corrupt() {
        let whole = pack([1; 7], [Some(b"id"), None, None, None, Some(b"payload")]);
        let errors = (1..whole.len()).map(|end| unpack(&whole[..end]).last().unwrap());
        assert!(errors.into_iter().all(|row| row.unwrap_err().kind() == ErrorKind::Corrupt));
    }
}
