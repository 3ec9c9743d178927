//! Postings: which events have a type or a tag.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use downlink::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::tags;

/// How many positions one row of postings covers.
pub const SEGMENT: i64 = 65_536;

/// The kind of a row with the postings of a type.
pub const TYPE: i64 = 1;
/// The kind of a row with the postings of a tag.
pub const TAG: i64 = 2;

/// The postings of some events, as parameters of
/// [`ADD_TYPE_POSTINGS`](crate::sql::ADD_TYPE_POSTINGS),
/// [`ADD_TAGS`](crate::sql::ADD_TAGS) and
/// [`ADD_TAG_POSTINGS`](crate::sql::ADD_TAG_POSTINGS).
#[derive(Debug, Default)]
pub struct NewPostings {
    /// Offsets in hexadecimal, by key of the type and segment.
    types: BTreeMap<(i64, i64), String>,
    /// The same by name of the tag and segment.
    tags: BTreeMap<(String, i64), String>,
}

impl NewPostings {
    /// Adds the types of events, from the value of
    /// [`TYPES_BETWEEN`](crate::sql::TYPES_BETWEEN).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the value has another form.
    pub fn add_types(&mut self, value: &str) -> Result<()> {
        let pairs = value.split(',').map(|pair| {
            let (position, key) = pair.split_once(' ')?;
            Some((position.parse::<i64>().ok()?, key.parse::<i64>().ok()?))
        });
        let mut pairs: Vec<_> = pairs.collect::<Option<_>>().ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "the file has events whose types are not numbers")
        })?;
        pairs.sort_unstable();
        for (position, key) in pairs {
            push(self.types.entry((key, position / SEGMENT)).or_default(), position);
        }
        Ok(())
    }

    /// Adds the tags of an event. Events come in the order of their positions.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the column is malformed.
    pub fn add_tags(&mut self, position: i64, column: &[u8]) -> Result<()> {
        let names: BTreeSet<String> =
            tags::decode(Some(column))?.into_iter().map(|tag| tag.as_str().to_owned()).collect();
        for name in names {
            push(self.tags.entry((name, position / SEGMENT)).or_default(), position);
        }
        Ok(())
    }

    /// The postings by type and segment.
    #[must_use]
    pub fn types(&self) -> String {
        rows(&self.types)
    }

    /// Whether any event has a tag.
    #[must_use]
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// The names of the tags.
    #[must_use]
    pub fn tag_names(&self) -> String {
        let names: BTreeSet<&str> = self.tags.keys().map(|(name, _)| name.as_str()).collect();
        names.into_iter().collect::<serde_json::Value>().to_string()
    }

    /// The postings by name of the tag and segment.
    #[must_use]
    pub fn tags(&self) -> String {
        rows(&self.tags)
    }
}

fn push(offsets: &mut String, position: i64) {
    write!(offsets, "{:04X}", position % SEGMENT).expect("writing to a string does not fail");
}

fn rows<N: Serialize>(postings: &BTreeMap<(N, i64), String>) -> String {
    let rows = postings.iter();
    rows.map(|((name, segment), offsets)| serde_json::json!([name, segment, offsets]))
        .collect::<serde_json::Value>()
        .to_string()
}

/// The offsets of a row of postings.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if they are not pairs of bytes in ascending order.
pub fn unpack(positions: &[u8]) -> Result<Vec<u16>> {
    let (pairs, rest) = positions.as_chunks::<2>();
    let offsets: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    if rest.is_empty() && offsets.is_sorted_by(|one, other| one < other) {
        Ok(offsets)
    } else {
        Err(Error::new(ErrorKind::Corrupt, "the file has postings that are out of order"))
    }
}

#[cfg(test)]
mod tests {
    use downlink::Tag;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn offsets_that_do_not_ascend_are_corrupt() {
        assert_eq!(unpack(&[0, 1, 0, 2]).unwrap(), [1, 2]);
        for bytes in [&[0, 1, 0][..], &[0, 2, 0, 1], &[0, 1, 0, 1]] {
            assert_eq!(unpack(bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn the_postings_of_a_tag_have_an_event_once() {
        let tag = |name: &str| Tag::new(name).unwrap();
        let mut postings = NewPostings::default();
        assert!(!postings.has_tags());
        postings.add_tags(5, &tags::encode(&[tag("a"), tag("b")]).unwrap()).unwrap();
        postings.add_tags(SEGMENT + 1, &tags::encode(&[tag("a")]).unwrap()).unwrap();
        let twice = tags::encode(&[tag("a"), tag("a")]).unwrap();
        postings.add_tags(SEGMENT + 258, &twice).unwrap();
        assert!(postings.has_tags());
        assert_eq!(postings.tag_names(), r#"["a","b"]"#);
        assert_eq!(postings.tags(), r#"[["a",0,"0005"],["a",1,"00010102"],["b",0,"0005"]]"#);
        assert!(postings.add_tags(9, b"\x05").is_err());
    }

    #[test]
    fn types_may_come_in_any_order() {
        let mut postings = NewPostings::default();
        postings.add_types("7 1,65537 2,5 1,6 2").unwrap();
        assert_eq!(postings.types(), r#"[[1,0,"00050007"],[2,0,"0006"],[2,1,"0001"]]"#);
        for broken in ["", "7", "7 x", "7 1,"] {
            assert_eq!(postings.add_types(broken).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
