use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;

use super::feed::Feed;
use super::hosts::{Authority, Origin};
use crate::access::Access;
use crate::connection::Connection;
use crate::wire::{Code, Problem};

/// Refuses requests for another host and, while only this machine has access,
/// requests from other machines.
pub(super) fn check_host(feed: &Feed, parts: &Parts) -> Result<(), Problem> {
    if !parts.headers.contains_key(HOST) && parts.uri.authority().is_none() {
        let detail = "the request has no 'Host': send the host that serves this feed";
        return Err(Problem::new(Code::HostNotAllowed, detail));
    }
    if !host(parts).is_some_and(|host| feed.hosts.allow(&host)) {
        return Err(host_not_allowed("the request is for another host", feed));
    }
    if feed.access() != Access::LocalOnly {
        return Ok(());
    }
    if parts.headers.keys().any(is_proxy_header) {
        return Err(host_not_allowed("the request came through a proxy", feed));
    }
    match peer(parts) {
        Some(peer) if !peer.ip().to_canonical().is_loopback() => {
            Err(host_not_allowed("the request came from another machine", feed))
        }
        _ => Ok(()),
    }
}

fn host_not_allowed(what: &str, feed: &Feed) -> Problem {
    let how = match feed.access() {
        Access::LocalOnly => {
            "only programs on the same machine have access, unless the program that serves this \
             feed calls Feed::with_authorizer(..) or Feed::with_public_access()"
        }
        _ => "the program that serves this feed lists its hosts with Feed::with_hosts(..)",
    };
    Problem::new(Code::HostNotAllowed, format!("{what}: {how}"))
}

/// The host of the request; `None` if it is missing or ambiguous.
fn host(parts: &Parts) -> Option<Authority> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(Authority::parse(host.to_str().ok()?)?),
        (None, None) => None,
        _ => return None,
    };
    match (header, parts.uri.authority()) {
        (host, None) => host,
        (host, Some(target)) => {
            let target = Authority::parse(target.as_str())?;
            host.is_none_or(|host| host == target).then_some(target)
        }
    }
}

fn is_proxy_header(name: &HeaderName) -> bool {
    name == FORWARDED
        || name == VIA
        || name == "x-real-ip"
        || name.as_str().starts_with("x-forwarded-")
}

fn peer(parts: &Parts) -> Option<SocketAddr> {
    let connection = parts.extensions.get::<Connection>().map(|connection| connection.peer);
    connection.or_else(|| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0))
}

/// Refuses requests of pages of other sites, if they are not safe (an append or a
/// WebSocket) or may be authenticated by a cookie.
pub(super) fn check_origin(feed: &Feed, parts: &Parts, is_safe: bool) -> Result<(), Problem> {
    let by_cookie = feed.authorizer.is_some()
        && parts.headers.contains_key(COOKIE)
        && !parts.headers.contains_key(AUTHORIZATION);
    if is_safe && !by_cookie {
        return Ok(());
    }
    let site = parts.headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    let mut origins = parts.headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_none() {
        return match site {
            Some(b"cross-site") => Err(cross_site("the request is from a page of another site")),
            Some(b"same-origin" | b"none") => Ok(()),
            _ if by_cookie => {
                Err(cross_site("a cookie authenticates the request, and it has no 'Origin'"))
            }
            _ => Ok(()),
        };
    }
    let is_cross_site = site == Some(b"cross-site");
    let own = host(parts);
    let trusted = |origin: Origin| {
        feed.origins.iter().any(|listed| listed.is_same(&origin))
            || (!is_cross_site && own.as_ref().is_some_and(|host| origin.is_of(host)))
    };
    let all_trusted =
        origins.all(|origin| origin.to_str().ok().and_then(Origin::parse).is_some_and(trusted));
    if all_trusted { Ok(()) } else { Err(cross_site("the request is from a page of another site")) }
}

fn cross_site(what: &str) -> Problem {
    let detail = format!(
        "{what}: only this host's own pages are allowed, and the origins that the program lists \
         with Feed::with_origins(..)"
    );
    Problem::new(Code::OriginNotAllowed, detail)
}

/// The `Origin` of the request, if it is listed.
pub(super) fn listed_origin<'a>(feed: &Feed, parts: &'a Parts) -> Option<&'a http::HeaderValue> {
    let text = parts.headers.get(ORIGIN)?;
    let origin = text.to_str().ok().and_then(Origin::parse)?;
    feed.origins.iter().any(|listed| listed.is_same(&origin)).then_some(text)
}
