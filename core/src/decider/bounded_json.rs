use std::io;

use serde::Serialize;

/// JSON of at most `max` bytes, and no more memory than that; `None` if it is
/// larger.
pub(super) fn to_bounded_vec(
    value: &impl Serialize,
    max: usize,
) -> serde_json::Result<Option<Vec<u8>>> {
    let mut json = BoundedVec { bytes: Vec::new(), max };
    match serde_json::to_writer(&mut json, value) {
        Ok(()) => Ok(Some(json.bytes)),
        Err(error) if error.is_io() => Ok(None),
        Err(error) => Err(error),
    }
}

struct BoundedVec {
    bytes: Vec<u8>,
    max: usize,
}

impl io::Write for BoundedVec {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.max - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_above_the_limit_is_none() {
        assert_eq!(to_bounded_vec(&"UA1545", 8).unwrap().unwrap(), br#""UA1545""#);
        assert_eq!(to_bounded_vec(&"UA1545", 7).unwrap(), None);
        assert_eq!(to_bounded_vec(&"", 0).unwrap(), None);
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let keys = std::collections::BTreeMap::from([([1_u8], 1)]);
        to_bounded_vec(&keys, 1_000).unwrap_err();
    }
}
