use downlink::live::Token;
use downlink::{After, Cursor, Position, limits};
use http::HeaderMap;

use super::query::decimal;
use super::{Code, Problem, Query};

/// The header in which a browser sends the last id that it received.
const LAST_EVENT_ID: &str = "last-event-id";

/// The longest valid value, in bytes.
const MAX_BYTES: usize = 64;

/// Returns where a request begins: at the first present of the header
/// `Last-Event-ID`, the parameter `lastEventId` and the parameter `after`.
///
/// The header takes precedence because a browser repeats the original URL when it
/// reconnects. A malformed value is refused, and never skipped for the next one.
///
/// # Errors
///
/// [`BadCursor`](Code::BadCursor) if the first present value is malformed, if any
/// is given twice, or if `after` is empty.
pub fn resume(headers: &HeaderMap, query: &Query) -> Result<After, Problem> {
    match place(headers, query)? {
        Some(("after", text)) => parse_after(text),
        Some((parameter, text)) => cursor(parameter, text).map(After::Cursor),
        None => Ok(After::Start),
    }
}

/// As [`resume`], for a live query: the token, if there is one.
///
/// # Errors
///
/// As [`resume`].
pub(crate) fn resume_live(headers: &HeaderMap, query: &Query) -> Result<Option<Token>, Problem> {
    let place = place(headers, query)?;
    place.map(|(parameter, text)| parse_token(parameter, text)).transpose()
}

pub(super) fn parse_token(parameter: &str, text: &str) -> Result<Token, Problem> {
    text.parse().map_err(|_| {
        let detail = format!(
            "'{parameter}' is not a token (a cursor, '~' and 16 lower-case hex digits): send a \
             token from the server, unchanged"
        );
        bad(parameter, detail)
    })
}

/// The first present of the header and the two parameters, and its name.
fn place<'a>(
    headers: &'a HeaderMap,
    query: &'a Query,
) -> Result<Option<(&'static str, &'a str)>, Problem> {
    let header = header(headers)?;
    let polyfill = query.one("lastEventId")?.filter(|text| !text.is_empty());
    let after = query.one("after")?;
    if after == Some("") {
        return Err(bad("after", "'after' is empty: leave it out, or give 'start'"));
    }
    let header = header.map(|text| ("Last-Event-ID", text));
    let polyfill = polyfill.map(|text| ("lastEventId", text));
    Ok(header.or(polyfill).or(after.map(|text| ("after", text))))
}

fn header(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let (value, another) = (values.next(), values.next());
    if another.is_some() {
        return Err(bad("Last-Event-ID", "'Last-Event-ID' is given twice: give it once"));
    }
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some).map_err(|_| bad("Last-Event-ID", "'Last-Event-ID' is not UTF-8"))
}

fn cursor(parameter: &str, text: &str) -> Result<Cursor, Problem> {
    let cursor =
        Some(text).filter(|text| text.len() <= MAX_BYTES).and_then(|text| text.parse().ok());
    cursor.ok_or_else(|| {
        let detail = format!(
            "'{parameter}' is not a cursor (16 lower-case hex digits, '-' and 8 more): send a \
             cursor from the server, unchanged"
        );
        bad(parameter, detail)
    })
}

/// Parses `after`: a cursor, `start`, `now`, `last:<n>`, or a position in decimal
/// digits.
///
/// # Errors
///
/// [`BadCursor`](Code::BadCursor) for anything else, and for `last` above 1,000.
pub fn parse_after(text: &str) -> Result<After, Problem> {
    let known = match text {
        _ if text.len() > MAX_BYTES => None,
        "start" => Some(After::Start),
        "now" => Some(After::Now),
        _ => match text.strip_prefix("last:") {
            Some(count) => return last(count),
            None => position(text).or_else(|| text.parse().ok().map(After::Cursor)),
        },
    };
    known.ok_or_else(|| {
        bad("after", "'after' takes a cursor, 'start', 'now', 'last:<n>' or a position in digits")
    })
}

fn position(text: &str) -> Option<After> {
    decimal(text).and_then(Position::new).map(After::Position)
}

fn last(count: &str) -> Result<After, Problem> {
    let most = limits::MAX_PAGE_EVENTS;
    let count = decimal(count)
        .ok_or_else(|| bad("after", "'after=last:<n>' takes a whole number: give one"))?;
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok(After::Last(count)),
        _ => Err(bad("after", format!("'after=last:<n>' takes at most {most}")).with_limit(most)),
    }
}

fn bad(parameter: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadCursor, detail).with_parameter(parameter)
}

/// Formats `after` so that [`parse_after`] returns the same.
#[must_use]
pub fn after_text(after: After) -> String {
    match after {
        After::Start => "start".to_owned(),
        After::Now => "now".to_owned(),
        After::Last(count) => format!("last:{count}"),
        After::Position(position) => position.to_string(),
        After::Cursor(cursor) => cursor.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const A: &str = "000000000001a2f0-9c41d07e";
    const B: &str = "000000000001a2f1-00000001";

    fn of(headers: &[&[u8]], query: &str) -> Result<After, Code> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(LAST_EVENT_ID, HeaderValue::from_bytes(value).unwrap());
        }
        let query = Query::parse(Some(query), &["after", "lastEventId"], &[]).unwrap();
        resume(&map, &query).map_err(|problem| problem.code())
    }

    fn at(text: &str) -> After {
        After::Cursor(text.parse().unwrap())
    }

    #[test]
    fn the_first_present_value_is_used() {
        assert_eq!(of(&[], ""), Ok(After::Start));
        assert_eq!(of(&[], &format!("after={A}")), Ok(at(A)));
        assert_eq!(of(&[], &format!("after={A}&lastEventId={B}")), Ok(at(B)));
        assert_eq!(of(&[A.as_bytes()], &format!("after=now&lastEventId={B}")), Ok(at(A)));
        assert_eq!(of(&[b""], &format!("after={A}&lastEventId=")), Ok(at(A)));
        assert_eq!(of(&[A.as_bytes()], "after=garbage"), Ok(at(A)));
        assert_eq!(of(&[A.as_bytes()], "after=%ff&lastEventId=%ff"), Ok(at(A)));
        assert_eq!(of(&[], &format!("after=%ff&lastEventId={A}")), Ok(at(A)));
    }

    #[test]
    fn a_malformed_value_is_never_skipped() {
        let bad = Err(Code::BadCursor);
        let after = format!("after={A}");
        assert_eq!(of(&[b"garbage"], &after), bad);
        assert_eq!(of(&[b"\xff\xfe"], &after), bad);
        assert_eq!(of(&["a".repeat(1 << 20).as_bytes()], &after), bad);
        assert_eq!(of(&[b"now"], &after), bad);
        assert_eq!(of(&[b"7"], &after), bad);
        assert_eq!(of(&[], &format!("{after}&lastEventId=start")), bad);
        assert_eq!(of(&[], "after=%ff"), bad);
        assert_eq!(of(&[], &format!("{after}&lastEventId=%ff")), bad);
        assert_eq!(of(&[A.as_bytes()], "after=%ff&after=%ff"), bad);
        assert_eq!(of(&[], "after="), bad);
        assert_eq!(of(&[A.as_bytes()], "after="), bad);
        assert_eq!(of(&[], &format!("{after}&{after}")), bad);
        assert_eq!(of(&[], "lastEventId=&lastEventId="), bad);
        assert_eq!(of(&[A.as_bytes(), A.as_bytes()], ""), bad);
    }

    #[test]
    fn after_takes_words_and_numbers() {
        let of = |text| parse_after(text).ok();
        assert_eq!(of("start"), Some(After::Start));
        assert_eq!(of("now"), Some(After::Now));
        assert_eq!(of("last:0"), Some(After::Last(0)));
        assert_eq!(of("last:1000"), Some(After::Last(1_000)));
        assert_eq!(of("41"), Position::new(41).map(After::Position));
        assert_eq!(of("0"), Some(After::Position(Position::ZERO)));
        assert_eq!(of("9223372036854775807"), Some(After::Position(Position::MAX)));
        for bad in [
            "9223372036854775808",
            "99999999999999999999",
            "last:1001",
            "last:",
            "last:-1",
            "last:99999999999999999999",
            "-1",
            "+1",
            "Start",
            "now ",
            "8000000000000000-00000000",
            "0000000000000000-00000001",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = parse_after(&text);
        }

        #[test]
        fn it_is_parsed_as_it_was_formatted(which in 0..5, number in 0..=i64::MAX.unsigned_abs(), id: [u8; 16]) {
            let position = Position::new(number).unwrap();
            let after = match which {
                0 => After::Start,
                1 => After::Now,
                2 => After::Last(usize::try_from(number % 1_001).unwrap()),
                3 => After::Position(position),
                _ => After::Cursor(Cursor::of(Position::new(number.max(1)).unwrap(), downlink::EventId::from_bytes(id))),
            };
            prop_assert_eq!(parse_after(&after_text(after)).unwrap(), after);
        }
    }
}
