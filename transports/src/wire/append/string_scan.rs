/// Finds the end of a JSON string that arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StringScan {
    bytes: usize,
    /// By how much the escapes may be longer than what they stand for.
    surplus: usize,
    is_escaped: bool,
}

/// Where the scan of a piece ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringEnd {
    /// At the end of the piece, within the string.
    Open,
    /// Behind the closing quote.
    Closed,
    /// Before a control character, which a string cannot contain.
    Invalid,
}

impl StringScan {
    /// Scans what follows the opening quote, or an earlier piece. Returns how many
    /// bytes of the piece were scanned.
    pub(super) fn scan(&mut self, piece: &[u8]) -> (usize, StringEnd) {
        let (at, end) = self.find_end(piece);
        self.bytes += at;
        match end {
            StringEnd::Closed => (at + 1, end),
            _ => (at, end),
        }
    }

    fn find_end(&mut self, piece: &[u8]) -> (usize, StringEnd) {
        let mut at = 0;
        while at < piece.len() {
            if self.is_escaped {
                self.is_escaped = false;
                self.surplus += if piece[at] == b'u' { 5 } else { 1 };
                at += 1;
            }
            at += plain_len(&piece[at..]);
            match piece.get(at) {
                Some(b'"') => return (at, StringEnd::Closed),
                Some(b'\\') => {
                    self.is_escaped = true;
                    at += 1;
                }
                Some(_) => return (at, StringEnd::Invalid),
                None => {}
            }
        }
        (at, StringEnd::Open)
    }

    /// The least number of bytes that the string so far stands for.
    pub(super) fn min_len(&self) -> usize {
        self.bytes.saturating_sub(self.surplus)
    }
}

/// How many bytes at the beginning neither end the string nor begin an escape.
fn plain_len(bytes: &[u8]) -> usize {
    // Without a branch per byte, a block is compared in a few instructions.
    const BLOCK: usize = 32;
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    let is_plain_block = |block: &&[u8]| block.iter().fold(true, |all, byte| all & is_plain(byte));
    let blocks = BLOCK * bytes.chunks_exact(BLOCK).take_while(is_plain_block).count();
    blocks + bytes[blocks..].iter().take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_any_pieces() {
        let long = "x".repeat(100);
        for (text, end, least) in [
            (r#"abc",1"#.to_owned(), StringEnd::Closed, 3),
            (r#"","#.to_owned(), StringEnd::Closed, 0),
            (r#"a\"b","#.to_owned(), StringEnd::Closed, 3),
            (r#"\\","#.to_owned(), StringEnd::Closed, 1),
            (r#"\u0041\ud83d\ude00","#.to_owned(), StringEnd::Closed, 3),
            (format!("{long}\\n{long}\","), StringEnd::Closed, 201),
            (format!("{long}\n\","), StringEnd::Invalid, 100),
            ("abc".to_owned(), StringEnd::Open, 3),
        ] {
            let (mut whole, bytes) = (StringScan::default(), text.as_bytes());
            let (scanned, at) = whole.scan(bytes);
            assert_eq!((at, whole.min_len()), (end, least), "{text}");
            let (mut single, mut total) = (StringScan::default(), 0);
            for byte in bytes.chunks(1) {
                let (scanned, at) = single.scan(byte);
                total += scanned;
                if at != StringEnd::Open {
                    break;
                }
                assert!(single.min_len() <= least, "{text}");
            }
            assert_eq!((total, single.min_len()), (scanned, least), "{text}");
        }
    }
}
