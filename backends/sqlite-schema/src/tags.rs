//! Encoding of tags in one column: each tag as one byte of length and its bytes, in order.
//! An event without tags has NULL.

use downlink::{Error, ErrorKind, Result, Tag};

/// The value of the column; `None` for no tags.
#[must_use]
pub fn encode(tags: &[Tag]) -> Option<Vec<u8>> {
    if tags.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(tags.iter().map(|tag| tag.as_str().len() + 1).sum());
    for tag in tags {
        push(&mut bytes, tag.as_str());
    }
    Some(bytes)
}

/// The bytes that every encoding with this tag contains. An encoding may contain them
/// without having the tag, so they narrow a search and do not decide it.
#[must_use]
pub fn needle(tag: &Tag) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tag.as_str().len() + 1);
    push(&mut bytes, tag.as_str());
    bytes
}

fn push(bytes: &mut Vec<u8>, tag: &str) {
    bytes.push(u8::try_from(tag.len()).expect("a tag has at most 255 bytes"));
    bytes.extend_from_slice(tag.as_bytes());
}

/// The tags of a row.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if the value is malformed.
pub fn decode(column: Option<&[u8]>) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = column.unwrap_or_default();
    while let Some((&length, tail)) = rest.split_first() {
        let (tag, tail) = tail.split_at_checked(usize::from(length)).ok_or_else(corrupt)?;
        let tag = std::str::from_utf8(tag).map_err(|_| corrupt())?;
        tags.push(Tag::new(tag).map_err(|_| corrupt())?);
        rest = tail;
    }
    Ok(tags)
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "the file has an event with malformed tags")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tags_round_trip(names in prop::collection::vec("[a-zé:]{1,127}", 0..64)) {
            let tags: Vec<Tag> = names.iter().map(|name| Tag::new(name).unwrap()).collect();
            let encoded = encode(&tags);
            prop_assert_eq!(encoded.is_none(), tags.is_empty());
            let bytes = encoded.unwrap_or_default();
            for needle in tags.iter().map(needle) {
                prop_assert!(bytes.windows(needle.len()).any(|window| window == needle));
            }
            prop_assert_eq!(decode(Some(&bytes)).unwrap(), tags);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(Some(&bytes));
        }
    }

    #[test]
    fn the_longest_tag_fits() {
        let tags = [Tag::new("x".repeat(255)).unwrap()];
        assert_eq!(decode(encode(&tags).as_deref()).unwrap(), tags);
    }
}
