use std::str;

/// Checks that bytes that arrive in pieces are UTF-8, without keeping them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utf8Check {
    /// A character that is not complete yet.
    begun: [u8; 4],
    len: usize,
}

impl Utf8Check {
    /// Checks the next piece. Fails with the length of its valid part as soon as no
    /// further bytes could make the text valid.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while self.len > 0 {
            let Some(&byte) = piece.get(at) else { return Ok(()) };
            self.begun[self.len] = byte;
            match str::from_utf8(&self.begun[..=self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => self.len += 1,
                Err(_) => return Err(at),
            }
            at += 1;
        }
        let Err(error) = str::from_utf8(&piece[at..]) else { return Ok(()) };
        let valid = at + error.valid_up_to();
        if error.error_len().is_some() {
            return Err(valid);
        }
        let begun = &piece[valid..];
        self.begun[..begun.len()].copy_from_slice(begun);
        self.len = begun.len();
        Ok(())
    }

    /// Whether the text so far ends with a whole character.
    #[cfg(feature = "websocket")]
    pub(crate) fn is_complete(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The length of the valid part, if the pieces are not a beginning of a text.
    fn check(pieces: &[&[u8]]) -> Result<bool, usize> {
        let (mut check, mut before) = (Utf8Check::default(), 0);
        for piece in pieces {
            check.push(piece).map_err(|valid| before + valid)?;
            before += piece.len();
        }
        Ok(check.len == 0)
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "aé\u{800}\u{ffff}\u{10000}\u{10ffff}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(check(&pieces), Ok(true));
            }
        }
        assert_eq!(check(&["é".as_bytes(), &[0xe2, 0x82]]), Ok(false));
    }

    #[test]
    fn it_fails_at_the_first_byte_that_cannot_be_valid() {
        // Too long forms, surrogates, and beyond the last character.
        for (bytes, valid) in [
            (&b"a\xff"[..], 1),
            (b"\xc0", 0),
            (b"\xe0\x80", 1),
            (b"\xed\xa0", 1),
            (b"\xf4\x90", 1),
            (b"\xce\xba\xed\xa0", 3),
        ] {
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(check(&single), Err(valid), "{bytes:?}");
            assert!(check(&[bytes]).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_check_of_a_whole_text(
            bytes in prop::collection::vec(prop_oneof![Just(0xc3), Just(0xa9), Just(0xf0), Just(0x9f), any::<u8>()], 0..12),
            size in 1..5_usize,
        ) {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(check(&pieces) == Ok(true), str::from_utf8(&bytes).is_ok());
        }
    }
}
