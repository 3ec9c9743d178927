use serde::de::IgnoredAny;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Checks that every JSON parser accepts these bytes: valid syntax and UTF-8,
/// no byte order mark, at most 64 levels of nesting, no lone surrogate escape,
/// which many parsers refuse and some replace, and no number beyond the range
/// of a double or of more than 1,000 characters, which some parsers refuse and
/// some read as infinity.
pub(super) fn check(what: &str, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::invalid(format!("{what} begins with a byte order mark: remove it")));
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

/// Checks valid JSON for problems that the syntax allows.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    /// A high surrogate was read, and the low surrogate has to follow
    /// immediately.
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
            b'-' | b'0'..=b'9' => return number(what, byte, tail),
            _ => {}
        }
        if self.depth > limits::MAX_JSON_DEPTH {
            let message =
                format!("{what} nests deeper than {}: flatten it", limits::MAX_JSON_DEPTH);
            return Err(Error::invalid(message));
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
                "{what} contains half of a surrogate pair (\\ud800 to \\udfff): write the character itself"
            )));
        }
        self.open_surrogate = high;
        Ok(())
    }
}

/// Skips and checks a number that begins with `first`.
fn number<'a>(what: &str, first: u8, tail: &'a [u8]) -> Result<&'a [u8]> {
    let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = tail.iter().take_while(|byte| is_of_number(byte)).count();
    let (digits, rest) = tail.split_at(length);
    let limit = limits::MAX_JSON_NUMBER_CHARS;
    if length >= limit {
        return Err(Error::invalid(format!(
            "{what} contains a number of more than {limit} characters: write it as a string"
        )));
    }
    // A number of up to 308 digits is less than the largest double.
    let may_be_beyond = length >= 308 || digits.iter().any(|byte| byte.eq_ignore_ascii_case(&b'e'));
    if may_be_beyond && is_beyond_a_double(first, digits) {
        return Err(Error::invalid(format!(
            "{what} contains a number beyond 1.8e308, which most languages cannot represent: write it as a string"
        )));
    }
    Ok(rest)
}

fn is_beyond_a_double(first: u8, rest: &[u8]) -> bool {
    let text: String = std::iter::once(first).chain(rest.iter().copied()).map(char::from).collect();
    text.parse().is_ok_and(f64::is_infinite)
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
    fn portable_json_is_accepted() {
        for good in [
            "{}",
            "null",
            " [1, 2.5e300, -1.7976931348623157e308, 1e-400, 123456789012345678901234567890]\r\n",
            r#"{"1e400":"1e400"}"#,
            r#"{"a":1,"a":2}"#,
            r#""\ud83d\ude00 \u2028 \\ud800 \" ""#,
            "\"\u{2028}😀\"",
        ] {
            check("it", good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
    }

    #[test]
    fn json_that_some_parser_refuses_is_refused() {
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
    fn numbers_have_to_fit_a_double_and_1000_characters() {
        let digits = |count: usize| "9".repeat(count);
        let zeros = |count: usize| format!("0.{}", "0".repeat(count - 2));
        for good in [
            digits(308),
            format!("-{}", digits(308)),
            "1.7976931348623157e308".into(),
            "1E+308".into(),
            format!("{}e-9", digits(308)),
            format!("{}e-900", digits(900)),
            zeros(999),
            zeros(1_000),
        ] {
            check("it", good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
            assert!(check("it", format!("[{{\"a\":{good}}},1]").as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            digits(309),
            format!("-{}", digits(309)),
            digits(5_000),
            zeros(1_001),
            "1e309".into(),
            "1e400".into(),
            "-1E+400".into(),
            "1e99999999999999999999".into(),
            "1.7976931348623159e308".into(),
            format!("{}e10", digits(300)),
        ] {
            for text in [bad.clone(), format!("{{\"a\":[0, {bad}]}}"), format!(" {bad} ")] {
                let error = check("it", text.as_bytes()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
                assert!(error.to_string().contains("write it as a string"), "{error}");
            }
        }
    }

    #[test]
    fn depth_is_limited_at_n_minus_one_n_and_n_plus_one() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check("it", nested(63).as_bytes()).is_ok());
        assert!(check("it", nested(64).as_bytes()).is_ok());
        assert_eq!(check("it", nested(65).as_bytes()).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(check("it", nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn metadata_is_an_object() {
        assert!(check_object("it", b" {\"a\":1}").is_ok());
        assert!(check_object("it", b"[]").is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parser(text in r#"[\[\]{}",:a1\\u d80c]{0,24}|-?[1-9.]{1,9}[eE]?[+-]?[0-9]{1,4}"#) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(check("it", text.as_bytes()).is_ok(), parsed.is_ok(), "{}", text);
        }
    }
}
