use downlink::Cursor;
use percent_encoding::percent_decode;

use super::{Code, Problem};

/// A decoded query string with known parameters only.
///
/// Unknown parameters are refused, because a typo must not mean "everything". The
/// application may allow further names for its own use.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::Query;
///
/// let known = ["stream", "limit"];
/// let query = Query::parse(Some("stream=flight%2FUA+1545"), &known, &[])?;
/// assert_eq!(query.one("stream")?, Some("flight/UA 1545"));
/// assert!(Query::parse(Some("strem=x"), &known, &[]).is_err());
/// # Ok::<(), downlink_transports::wire::Problem>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a query string as browsers encode it: `+` is a space, `%xx` a
    /// byte of UTF-8.
    ///
    /// # Errors
    ///
    /// [`UnknownParameter`](Code::UnknownParameter) for a name that is neither
    /// `known` nor `allowed`; a problem of the parameter for a value that is
    /// not UTF-8. A malformed `after` or `lastEventId` is kept with replacement
    /// characters instead, because another value may take precedence.
    pub fn parse(query: Option<&str>, known: &[&str], allowed: &[String]) -> Result<Self, Problem> {
        Self::collect(query, known, |name| {
            if allowed.contains(&name) { Ok(()) } else { Err(unknown(name, known, allowed)) }
        })
    }

    /// As [`parse`](Self::parse), for a part of the parameters: the others are those of
    /// the application, and skipped.
    pub(crate) fn parse_some(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        Self::collect(query, known, |_| Ok(()))
    }

    fn collect(
        query: Option<&str>,
        known: &[&str],
        check_other: impl Fn(String) -> Result<(), Problem>,
    ) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = String::from_utf8_lossy(&decode(name)).into_owned();
            if !known.contains(&name.as_str()) {
                check_other(name)?;
                continue;
            }
            let value = match String::from_utf8(decode(value)) {
                Ok(value) => value,
                Err(error) if code_of(&name) == Code::BadCursor => {
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                }
                Err(_) => {
                    let detail = format!("'{name}' is not UTF-8: percent-encode its UTF-8 bytes");
                    return Err(Problem::new(code_of(&name), detail).with_parameter(name));
                }
            };
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// Whether no parameter is given, apart from those of the application.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Every value of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that is given at most once.
    ///
    /// # Errors
    ///
    /// [`BadParameter`](Code::BadParameter) if it is given twice, or
    /// [`BadCursor`](Code::BadCursor) for `after` and `lastEventId`.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_none() {
            return Ok(value);
        }
        let detail = format!("'{name}' is given twice: give it once");
        Err(Problem::new(code_of(name), detail).with_parameter(name))
    }

    /// The value as a whole number in decimal digits, capped at 2⁶⁴ − 1; `None` if
    /// the parameter is absent.
    ///
    /// # Errors
    ///
    /// [`BadParameter`](Code::BadParameter) if it is not a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        if is_digits(text) {
            return Ok(Some(text.parse().unwrap_or(u64::MAX)));
        }
        Err(bad(name, format!("'{name}' is not a whole number: give one")))
    }

    /// The limit of events in a page: 100 by default, at most 1,000.
    ///
    /// # Errors
    ///
    /// [`BadParameter`](Code::BadParameter) for 0 and if it is not a number.
    pub fn limit(&self) -> Result<usize, Problem> {
        let most = downlink::limits::MAX_PAGE_EVENTS;
        match self.number("limit")? {
            None => Ok(100),
            Some(0) => Err(bad("limit", "'limit' is 0: ask for 1 to 1,000 events")),
            Some(number) => Ok(usize::try_from(number).unwrap_or(most).min(most)),
        }
    }

    /// How long a poll waits, in seconds: 0 by default, at most 55.
    ///
    /// # Errors
    ///
    /// [`BadParameter`](Code::BadParameter) if it is not a number.
    pub fn wait(&self) -> Result<u64, Problem> {
        Ok(self.number("wait")?.unwrap_or(0).min(55))
    }

    /// The cursor that an answer has to contain, if one is given.
    ///
    /// # Errors
    ///
    /// [`BadCursor`](Code::BadCursor) if it is not a cursor.
    pub fn at_least(&self) -> Result<Option<Cursor>, Problem> {
        let Some(text) = self.one("at_least")? else { return Ok(None) };
        let cursor = text.parse().map_err(|error: downlink::Error| {
            Problem::new(Code::BadCursor, error.to_string()).with_parameter("at_least")
        });
        cursor.map(Some)
    }

    /// Whether heartbeats are events instead of comments, by `heartbeat=event`.
    ///
    /// # Errors
    ///
    /// [`BadParameter`](Code::BadParameter) for any other value.
    pub fn heartbeat_is_event(&self) -> Result<bool, Problem> {
        match self.one("heartbeat")? {
            None => Ok(false),
            Some("event") => Ok(true),
            Some(_) => Err(bad("heartbeat", "'heartbeat' takes 'event' only, or leave it out")),
        }
    }
}

/// Digits only, and a number of at most 64 bits.
pub(super) fn decimal(text: &str) -> Option<u64> {
    if is_digits(text) { text.parse().ok() } else { None }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn bad(parameter: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadParameter, detail).with_parameter(parameter)
}

fn decode(text: &str) -> Vec<u8> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).collect()
}

fn unknown(name: String, known: &[&str], allowed: &[String]) -> Problem {
    let all: Vec<_> = known.iter().copied().chain(allowed.iter().map(String::as_str)).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let detail = format!("unknown parameter '{name}': the parameters here are {all}");
    Problem::new(Code::UnknownParameter, detail).with_parameter(name)
}

fn code_of(parameter: &str) -> Code {
    match parameter {
        "after" | "lastEventId" | "at_least" => Code::BadCursor,
        "stream" | "stream_prefix" | "type" | "type_prefix" | "not_type" | "tag" => Code::BadFilter,
        _ => Code::BadParameter,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: [&str; 4] = ["stream", "after", "limit", "wait"];

    fn parse(text: &str) -> Result<Query, Problem> {
        Query::parse(Some(text), &KNOWN, &["tenant".to_owned()])
    }

    #[test]
    fn unknown_parameters_are_named_with_the_list() {
        let problem = parse("after=1&strem=x").unwrap_err();
        assert_eq!(problem.code(), Code::UnknownParameter);
        let expected =
            "unknown parameter 'strem': the parameters here are stream, after, limit, wait, tenant";
        assert_eq!(problem.detail(), expected);
        assert!(problem.to_json().contains(r#""parameter":"strem""#));
        assert!(parse("tenant=7&stream=x").is_ok());
        assert!(parse("Stream=x").is_err());
    }

    #[test]
    fn names_and_values_are_decoded() {
        let query = parse("&&s%74ream=a%26b%3D+c&stream=%F0%9F%98%80&").unwrap();
        assert_eq!(query.all("stream").collect::<Vec<_>>(), ["a&b= c", "😀"]);
        assert_eq!(parse("stream=%ff").unwrap_err().code(), Code::BadFilter);
        assert!(parse("after=%ff").is_ok());
        assert_eq!(parse("limit=%ff").unwrap_err().code(), Code::BadParameter);
    }

    #[test]
    fn numbers_are_bounded() {
        let limit = |text: &str| parse(text).unwrap().limit().ok();
        assert_eq!(limit(""), Some(100));
        assert_eq!(limit("limit=1"), Some(1));
        assert_eq!(limit("limit=1000"), Some(1_000));
        assert_eq!(limit("limit=1001"), Some(1_000));
        assert_eq!(limit("limit=99999999999999999999"), Some(1_000));
        for bad in ["0", "", "-1", "+1", "1e3", "x", "%31%20"] {
            assert_eq!(limit(&format!("limit={bad}")), None, "{bad}");
        }
        assert_eq!(limit("limit=1&limit=1"), None);
        let wait = |text: &str| parse(text).unwrap().wait().ok();
        assert_eq!(wait(""), Some(0));
        assert_eq!(wait("wait=0"), Some(0));
        assert_eq!(wait("wait=55"), Some(55));
        assert_eq!(wait("wait=56"), Some(55));
        assert_eq!(wait("wait=99999999999999999999"), Some(55));
        assert_eq!(wait("wait=soon"), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[a-z=&%+0-9]{0,60}|.{0,60}") {
            if let Ok(query) = parse(&text) {
                let _ = (query.limit(), query.wait(), query.one("after"));
            }
        }
    }
}
