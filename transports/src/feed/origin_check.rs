use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};
use http::request::Parts;

use super::feed::Feed;
use super::guard::host;
use super::origin::Origin;
use crate::wire::{Code, Problem};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Schemes whose credentials browsers send by themselves, as they send cookies.
const AMBIENT_SCHEMES: [&str; 4] = ["basic", "digest", "negotiate", "ntlm"];

/// Refuses what a page of another site sends, unless its origin is listed or it
/// navigates there: such a page cannot read the response, but it can take the time.
pub(super) fn check_site(feed: &Feed, parts: &Parts) -> Result<(), Problem> {
    let mut sites = parts.headers.get_all(SEC_FETCH_SITE).iter();
    let is_cross_site = sites.any(|site| site == "cross-site");
    if !is_cross_site || is_navigation(parts) {
        return Ok(());
    }
    let mut origins = parts.headers.get_all(ORIGIN).iter().peekable();
    let is_listed = origins.peek().is_some()
        && origins.all(|origin| parse(origin).is_some_and(|origin| lists(feed, &origin)));
    if is_listed { Ok(()) } else { Err(not_allowed("the request is from a page of another site")) }
}

/// Whether the user goes to this address in a window of their own, as by a link. A
/// frame within a page is not one.
pub(super) fn is_navigation(parts: &Parts) -> bool {
    let is = |name, value: &str| {
        let mut values = parts.headers.get_all(name).iter();
        values.next().is_some_and(|sent| sent == value) && values.next().is_none()
    };
    let is_read = matches!(parts.method, http::Method::GET | http::Method::HEAD);
    is_read && is(SEC_FETCH_MODE, "navigate") && is(SEC_FETCH_DEST, "document")
}

/// Refuses requests of pages of other origins, if they are not safe (an append or a
/// WebSocket) or may be authenticated by a cookie.
pub(super) fn check_origin(feed: &Feed, parts: &Parts, is_safe: bool) -> Result<(), Problem> {
    let by_cookie = feed.authorizer.is_some()
        && parts.headers.contains_key(COOKIE)
        && !has_token(&parts.headers);
    if is_safe && !by_cookie {
        return Ok(());
    }
    let mut origins = parts.headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_none() {
        return if by_cookie { check_own_page(parts) } else { Ok(()) };
    }
    let own = host(parts);
    let trusted = |origin: Origin| {
        lists(feed, &origin) || own.as_ref().is_some_and(|host| origin.is_of(host))
    };
    if origins.all(|origin| parse(origin).is_some_and(trusted)) {
        return Ok(());
    }
    Err(not_allowed("the request is from a page of another origin"))
}

/// Whether the request has credentials that no browser adds by itself.
pub(crate) fn has_token(headers: &HeaderMap) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|value| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        !AMBIENT_SCHEMES.iter().any(|ambient| scheme.eq_ignore_ascii_case(ambient.as_bytes()))
    })
}

/// Refuses a request that has a cookie but no `Origin`, unless it is known to come
/// from a page of this host or from no page.
fn check_own_page(parts: &Parts) -> Result<(), Problem> {
    match parts.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => {
            Err(not_allowed("a cookie authenticates this request of a page of another origin"))
        }
        None if is_own_referer(parts) => Ok(()),
        None => {
            let detail = "a cookie authenticates the request, and it does not say which page it is \
                          from: it has no 'Origin', no 'Sec-Fetch-Site' (browsers send it to HTTPS \
                          and localhost only), and no 'Referer' of this host. Serve over HTTPS, or \
                          let the page set 'Referrer-Policy: same-origin', or send \
                          'Authorization: Bearer' instead of the cookie";
            Err(Problem::new(Code::OriginNotAllowed, detail))
        }
    }
}

/// Whether the one `Referer` is a page of the requested host. A page can withhold its
/// address, but cannot give another.
fn is_own_referer(parts: &Parts) -> bool {
    let mut pages = parts.headers.get_all(REFERER).iter();
    let (Some(page), None) = (pages.next(), pages.next()) else { return false };
    let page = page.to_str().ok().and_then(Origin::of_page);
    page.zip(host(parts)).is_some_and(|(page, host)| page.is_of(&host))
}

fn not_allowed(what: &str) -> Problem {
    let detail = format!(
        "{what}: only this host's own pages are allowed, and the origins that the program lists \
         with Feed::with_origins(..)"
    );
    Problem::new(Code::OriginNotAllowed, detail)
}

fn parse(origin: &HeaderValue) -> Option<Origin> {
    origin.to_str().ok().and_then(Origin::parse)
}

fn lists(feed: &Feed, origin: &Origin) -> bool {
    feed.origins.iter().any(|listed| listed.is_same(origin))
}

/// The `Origin` of the request, if it is listed.
pub(super) fn listed_origin<'a>(feed: &Feed, parts: &'a Parts) -> Option<&'a HeaderValue> {
    let text = parts.headers.get(ORIGIN)?;
    lists(feed, &parse(text)?).then_some(text)
}
