use serde::de::IgnoredAny;

use crate::{Error, ErrorKind, Result, limits};

/// Checks that every reader of JSON will accept these bytes: syntax, UTF-8, no
/// byte order mark, nesting of at most 64, and no lone surrogate escape, which
/// many parsers refuse and some replace.
pub(super) fn check(what: &str, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::invalid(format!("{what} begins with a byte order mark: leave it out")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::with_source(ErrorKind::Invalid, format!("{what} is not UTF-8"), error)
    })?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        Error::with_source(ErrorKind::Invalid, format!("{what} is not JSON: {error}"), error)
    })?;
    Scan::default().run(what, bytes)
}

/// Checks that these bytes are one JSON object.
pub(super) fn check_object(what: &str, bytes: &[u8]) -> Result<()> {
    check(what, bytes)?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        Ok(())
    } else {
        Err(Error::invalid(format!("{what} is not a JSON object")))
    }
}

/// Looks at valid JSON for what the syntax alone allows.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    /// A high surrogate was read and its low half has to follow at once.
    open_surrogate: bool,
}

impl Scan {
    fn run(mut self, what: &str, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = if self.in_string {
                self.in_string(what, byte, tail)?
            } else {
                self.outside(what, byte, tail)?
            };
        }
        Ok(())
    }

    fn outside<'a>(&mut self, what: &str, byte: u8, tail: &'a [u8]) -> Result<&'a [u8]> {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth > limits::MAX_JSON_DEPTH {
            let message =
                format!("{what} nests deeper than {}: flatten it", limits::MAX_JSON_DEPTH);
            return Err(Error::too_large(message, limits::MAX_JSON_DEPTH));
        }
        Ok(tail)
    }

    fn in_string<'a>(&mut self, what: &str, byte: u8, tail: &'a [u8]) -> Result<&'a [u8]> {
        if byte == b'\\' {
            let (escape, rest) = tail.split_at(if tail[0] == b'u' { 5 } else { 1 });
            self.surrogate(what, code_unit(escape))?;
            return Ok(rest);
        }
        self.surrogate(what, None)?;
        self.in_string = byte != b'"';
        Ok(tail)
    }

    fn surrogate(&mut self, what: &str, unit: Option<u32>) -> Result<()> {
        let (high, low) =
            (matches!(unit, Some(0xd800..=0xdbff)), matches!(unit, Some(0xdc00..=0xdfff)));
        if self.open_surrogate != low {
            return Err(Error::invalid(format!(
                "{what} has half of a surrogate pair (\\ud800 to \\udfff): write the character itself"
            )));
        }
        self.open_surrogate = high;
        Ok(())
    }
}

fn code_unit(escape: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(escape.strip_prefix(b"u")?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_every_parser_reads_is_accepted() {
        for good in [
            "{}",
            "null",
            " [1, 2.5e300, 1e400, 123456789012345678901234567890]\r\n",
            r#"{"a":1,"a":2}"#,
            r#""\ud83d\ude00 \u2028 \\ud800 \" ""#,
            "\"\u{2028}😀\"",
        ] {
            check("it", good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
    }

    #[test]
    fn what_some_parser_refuses_is_refused() {
        for bad in [
            &b""[..],
            b"{",
            b"{} {}",
            b"{'a':1}",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"NaN",
            br#""\ud800""#,
            br#""\ud800x""#,
            br#""\udc00""#,
            br#""\ud800\ud800""#,
            br#""\ud800\n""#,
            br#"{"\ude00":1}"#,
        ] {
            let error = check("it", bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn depth_is_limited_at_n_minus_one_n_and_n_plus_one() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check("it", nested(63).as_bytes()).is_ok());
        assert!(check("it", nested(64).as_bytes()).is_ok());
        assert_eq!(check("it", nested(65).as_bytes()).unwrap_err().kind(), ErrorKind::TooLarge);
        assert!(check("it", nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn metadata_is_an_object() {
        assert!(check_object("it", b" {\"a\":1}").is_ok());
        assert!(check_object("it", b"[]").is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parser(text in r#"[\[\]{}",:a1\\u d80c]{0,24}"#) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(check("it", text.as_bytes()).is_ok(), parsed.is_ok(), "{}", text);
        }
    }
}
