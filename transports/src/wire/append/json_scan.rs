use downlink::limits::{MAX_JSON_DEPTH, MAX_JSON_NUMBER_CHARS};

use super::string_scan::{StringEnd, StringScan};

/// Finds the end of a JSON value that arrives in pieces, without checking more of
/// its syntax than that takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JsonScan {
    bytes: usize,
    depth: usize,
    token: Token,
}

#[derive(Clone, Copy, Debug, Default)]
enum Token {
    #[default]
    Between,
    String(StringScan),
    /// A number of so many characters.
    Number(usize),
    /// `true`, `false` or `null`.
    Word,
}

/// Why a value is refused before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonProblem {
    /// It is not JSON.
    Malformed,
    /// It nests deeper than the limit.
    TooDeep,
    /// It contains a number longer than the limit.
    LongNumber,
}

impl JsonScan {
    /// How many bytes of the value were scanned.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Scans a piece. Returns how many of its bytes belong to the value, and
    /// whether the value ends with them.
    pub(super) fn scan(&mut self, piece: &[u8]) -> Result<(usize, bool), JsonProblem> {
        let mut at = 0;
        let result = self.find_end(piece, &mut at);
        self.bytes += at;
        result.map(|is_end| (at, is_end))
    }

    fn find_end(&mut self, piece: &[u8], at: &mut usize) -> Result<bool, JsonProblem> {
        // What an earlier piece has begun.
        let mut is_end_of_token = match std::mem::take(&mut self.token) {
            Token::Between => false,
            Token::String(string) => self.string(string, piece, at)?,
            Token::Number(chars) => self.number(chars, piece, at)?,
            Token::Word => self.word(piece, at),
        };
        while *at < piece.len() && !(is_end_of_token && self.depth == 0) {
            let byte = piece[*at];
            *at += 1;
            is_end_of_token = match byte {
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if self.depth > 0 => continue,
                b'"' => self.string(StringScan::default(), piece, at)?,
                b'-' | b'0'..=b'9' => self.number(1, piece, at)?,
                b'a'..=b'z' => self.word(piece, at),
                b'{' | b'[' if self.depth == MAX_JSON_DEPTH => return Err(JsonProblem::TooDeep),
                b'{' | b'[' => {
                    self.depth += 1;
                    false
                }
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    true
                }
                _ => return Err(JsonProblem::Malformed),
            };
        }
        Ok(is_end_of_token && self.depth == 0)
    }

    /// Scans a string, and returns whether it ends in this piece. So do the others.
    fn string(
        &mut self,
        mut string: StringScan,
        piece: &[u8],
        at: &mut usize,
    ) -> Result<bool, JsonProblem> {
        let (scanned, end) = string.scan(&piece[*at..]);
        *at += scanned;
        match end {
            StringEnd::Closed => return Ok(true),
            StringEnd::Open => self.token = Token::String(string),
            StringEnd::Invalid => return Err(JsonProblem::Malformed),
        }
        Ok(false)
    }

    fn number(&mut self, chars: usize, piece: &[u8], at: &mut usize) -> Result<bool, JsonProblem> {
        let rest = &piece[*at..];
        let most = MAX_JSON_NUMBER_CHARS + 1 - chars;
        let more = run(&rest[..rest.len().min(most)], is_of_number);
        *at += more;
        let chars = chars + more;
        if chars > MAX_JSON_NUMBER_CHARS {
            return Err(JsonProblem::LongNumber);
        }
        let is_end = *at < piece.len();
        if !is_end {
            self.token = Token::Number(chars);
        }
        Ok(is_end)
    }

    fn word(&mut self, piece: &[u8], at: &mut usize) -> bool {
        *at += run(&piece[*at..], |byte| byte.is_ascii_lowercase());
        let is_end = *at < piece.len();
        if !is_end {
            self.token = Token::Word;
        }
        is_end
    }
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_part(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of the value, in pieces of this size.
    fn end(text: &str, size: usize) -> Result<Option<usize>, JsonProblem> {
        let mut scan = JsonScan::default();
        for piece in text.as_bytes().chunks(size) {
            if scan.scan(piece)?.1 {
                return Ok(Some(scan.bytes()));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_end_of_a_value_is_found_in_any_pieces() {
        let deep = format!("{}1{},", "[".repeat(64), "]".repeat(64));
        let long = format!("{}}}", "1".repeat(1_000));
        for (text, expected) in [
            (r#"{"a":[1,2,{}],"b":"}"} ,"#, Some(22)),
            ("[] ]", Some(2)),
            (r#""a]\"",2"#, Some(6)),
            ("-1.5e+3,", Some(7)),
            ("true}", Some(4)),
            ("null ", Some(4)),
            (&deep, Some(129)),
            (&long, Some(1_000)),
            // A number may go on with the next piece.
            ("12", None),
            ("[1", None),
        ] {
            for size in [1, 2, 3, 7, 10_000] {
                assert_eq!(end(text, size), Ok(expected), "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_become_valid_is_refused() {
        let deep = "[".repeat(65);
        let long = "1".repeat(1_001);
        let inner = format!("[0,{long}");
        for (text, expected) in [
            (",", JsonProblem::Malformed),
            ("]", JsonProblem::Malformed),
            ("[;", JsonProblem::Malformed),
            ("\"\n\"", JsonProblem::Malformed),
            (&deep, JsonProblem::TooDeep),
            (&long, JsonProblem::LongNumber),
            (&inner, JsonProblem::LongNumber),
        ] {
            for size in [1, 3, 10_000] {
                assert_eq!(end(text, size), Err(expected), "{text}");
            }
        }
    }
}
