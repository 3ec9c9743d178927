use downlink::filter::{FilterItemParts, Pattern};
use downlink::transport::Endpoint;
use downlink::{After, Cursor, Error, ErrorKind, Filter, FilterItem, Result};
use http::header::HeaderName;
use http::{HeaderValue, Uri};

use crate::wire;

pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest query of a filter, in bytes.
const MAX_QUERY_BYTES: usize = 8 << 10;

/// The parts of an endpoint's URL.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    path: String,
}

impl Target {
    /// Parses the endpoint's URL. `https` is refused if the connection `is_plain`
    /// TCP.
    pub(super) fn parse(endpoint: &Endpoint, is_plain: bool) -> Result<Self> {
        let url = endpoint.as_str();
        let uri: Uri = url.parse().map_err(|error| {
            let message = format!("'{url}' is not a URL: give one like http://127.0.0.1:3000");
            Error::with_source(ErrorKind::Invalid, message, error)
        })?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let port = match uri.scheme_str() {
            Some("http") => Some(80),
            // Another connector may add TLS.
            Some("https") if !is_plain => Some(443),
            _ => None,
        };
        let (Some(port), Some(authority), None) = (port, authority, uri.query()) else {
            return Err(invalid(format!(
                "this client does not support '{url}': give a URL like http://127.0.0.1:3000/api, \
                 without TLS (unless `Client::with_connector` adds it), user name or query"
            )));
        };
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path of a route with these parameters; empty ones are left out.
    pub(super) fn path(&self, route: &str, parameters: &[String]) -> String {
        let mut path = format!("{}{route}", self.path);
        let given = parameters.iter().filter(|parameter| !parameter.is_empty());
        for (separator, parameter) in std::iter::once('?').chain(std::iter::repeat('&')).zip(given)
        {
            path.push(separator);
            path += parameter;
        }
        path
    }
}

/// Encodes where a request begins: a cursor as a header, which takes precedence
/// on the server, and anything else as a parameter.
pub(super) fn encode_after(after: After) -> (Option<HeaderValue>, String) {
    match after {
        After::Start => (None, String::new()),
        After::Cursor(cursor) => (Some(header(cursor)), String::new()),
        other => (None, format!("after={}", wire::after_text(other))),
    }
}

fn header(cursor: Cursor) -> HeaderValue {
    HeaderValue::try_from(cursor.to_string()).expect("a cursor is hex digits and a hyphen")
}

/// Encodes the filter as a query string.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) if it has alternatives that parameters cannot
/// express, [`TooLarge`](ErrorKind::TooLarge) above 8 KiB.
pub(super) fn filter_query(filter: &Filter) -> Result<String> {
    if filter.is_nothing() {
        return Err(invalid(
            "the filter matches nothing, because one of its lists is empty: add a value to it",
        ));
    }
    let item = merge_queries(filter)?;
    let query = wire::filter_to_query(&item.into()).ok_or_else(no_alternatives)?;
    if query.len() > MAX_QUERY_BYTES {
        let message =
            format!("the filter takes more than {MAX_QUERY_BYTES} bytes in a URL: shorten it");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(query)
}

/// Merges all queries of the filter into one item, which is what the parameters
/// of a URL can express.
fn merge_queries(filter: &Filter) -> Result<FilterItem> {
    let mut all = FilterItem::new();
    for query in filter.queries() {
        let [item] = query.as_slice() else { return Err(no_alternatives()) };
        let FilterItemParts { streams, types, not_types, tags } = item.parts();
        for pattern in restriction(all.parts().streams, streams, "streams")? {
            all = match pattern {
                Pattern::Is(name) => all.with_stream(&**name)?,
                Pattern::StartsWith(prefix) => all.with_stream_prefix(prefix)?,
            };
        }
        for pattern in restriction(all.parts().types, types, "types")? {
            all = match pattern {
                Pattern::Is(name) => all.with_type(&**name)?,
                Pattern::StartsWith(prefix) => all.with_type_prefix(prefix)?,
            };
        }
        all = not_types.iter().cloned().try_fold(all, FilterItem::without_type)?;
        all = tags.iter().cloned().try_fold(all, FilterItem::with_tag)?;
    }
    Ok(all)
}

/// The patterns that `by` adds to a group.
fn restriction<'a>(group: &[Pattern], by: &'a [Pattern], what: &str) -> Result<&'a [Pattern]> {
    if group.is_empty() {
        return Ok(by);
    }
    if by.is_empty() || group == by {
        return Ok(&[]);
    }
    Err(invalid(format!(
        "a URL cannot express two restrictions of the {what}: name the {what} that match both"
    )))
}

fn no_alternatives() -> Error {
    invalid("a URL cannot express a filter with alternatives: follow each of them separately")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use downlink::Position;

    use super::*;

    fn item() -> FilterItem {
        FilterItem::new()
    }

    #[test]
    fn urls_are_parsed() {
        let target = Target::parse(&Endpoint::new("http://[::1]:3000/api/"), true).unwrap();
        assert_eq!((&*target.host, target.port, &*target.authority), ("::1", 3000, "[::1]:3000"));
        let path = |parameters: [&str; 2]| target.path("/feed", &parameters.map(Into::into));
        assert_eq!(path(["", ""]), "/api/feed");
        assert_eq!(path(["", "after=now"]), "/api/feed?after=now");
        assert_eq!(path(["type=A", "after=last:3"]), "/api/feed?type=A&after=last:3");
        let target = Target::parse(&Endpoint::new("http://localhost"), true).unwrap();
        assert_eq!((target.port, &*target.path("/feed", &[])), (80, "/feed"));
        let target = Target::parse(&Endpoint::new("https://feed.example"), false).unwrap();
        assert_eq!(target.port, 443);
    }

    #[test]
    fn unsupported_urls_are_refused() {
        for bad in
            ["", "127.0.0.1:3000", "https://x", "http://", "http://u:p@x", "http://x/?a=b", "/x"]
        {
            let error = Target::parse(&Endpoint::new(bad), true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn a_start_is_a_header_or_a_parameter() {
        let position = Position::new(7).unwrap();
        assert_eq!(encode_after(After::Start), (None, String::new()));
        assert_eq!(encode_after(After::Last(3)), (None, "after=last:3".into()));
        assert_eq!(encode_after(After::Position(position)), (None, "after=7".into()));
        let start = HeaderValue::from_static("0000000000000000-00000000");
        assert_eq!(encode_after(After::Cursor(Cursor::START)), (Some(start), String::new()));
    }

    #[test]
    fn a_filter_becomes_parameters() {
        let filter = item().with_stream("flight UA&1545").unwrap();
        let filter = filter.with_stream_prefix("gate-").unwrap().with_type_prefix("Fl").unwrap();
        let filter = filter.without_type("FlightLanded").unwrap().with_tag("airport:EWR").unwrap();
        assert_eq!(
            filter_query(&filter.into()).unwrap(),
            "stream=flight%20UA%261545&stream_prefix=gate-&type_prefix=Fl&not_type=FlightLanded&tag=airport%3AEWR"
        );
        assert_eq!(filter_query(&Filter::everything()).unwrap(), "");
    }

    #[test]
    fn restrictions_of_different_groups_are_merged() {
        let streams = Filter::from(item().with_stream("a").unwrap().with_tag("x").unwrap());
        let types = Filter::from(item().with_type("T").unwrap().with_tag("y").unwrap());
        let both = streams.clone().and(&types).unwrap();
        assert_eq!(filter_query(&both).unwrap(), "stream=a&type=T&tag=x&tag=y");
        let others = Filter::from(item().with_stream("b").unwrap());
        assert_eq!(
            filter_query(&streams.and(&others).unwrap()).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }

    #[test]
    fn a_filter_that_matches_nothing_is_refused() {
        let error = filter_query(&Filter::nothing()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("matches nothing"), "{error}");
    }

    #[test]
    fn alternatives_and_long_filters_are_refused() {
        let any = [item().with_stream("a").unwrap(), item().with_type("T").unwrap()];
        let error = filter_query(&Filter::any_of(any).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let long = (0..64)
            .fold(item(), |item, n| item.with_tag(format!("{n}{}", "x".repeat(200))).unwrap());
        assert_eq!(filter_query(&long.into()).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
