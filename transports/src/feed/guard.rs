use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;

use super::Feed;
use super::hosts::{Authority, Origin};
use crate::wire::{Code, Problem};
use crate::{Connection, Exposure};

/// Refuses requests under a foreign name, and while the feed is open to this
/// machine only, those from other machines.
pub(super) fn check_host(feed: &Feed, parts: &Parts) -> Result<(), Problem> {
    if !parts.headers.contains_key(HOST) && parts.uri.authority().is_none() {
        let detail = "the request has no 'Host': send the name under which this feed is served";
        return Err(Problem::new(Code::HostNotAllowed, detail));
    }
    if !host(parts).is_some_and(|host| feed.hosts.allow(&host)) {
        return Err(refused("the request is for another host", feed));
    }
    if feed.exposure() != Exposure::LocalOnly {
        return Ok(());
    }
    if parts.headers.keys().any(tells_of_a_proxy) {
        return Err(refused("the request came through a proxy", feed));
    }
    match peer(parts) {
        Some(peer) if !peer.ip().to_canonical().is_loopback() => {
            Err(refused("the request came from another machine", feed))
        }
        _ => Ok(()),
    }
}

fn refused(what: &str, feed: &Feed) -> Problem {
    let how = match feed.exposure() {
        Exposure::LocalOnly => {
            "this feed is open to its own machine only, until the program that serves it calls \
             Feed::authorize(..) or Feed::open_to_everyone()"
        }
        _ => "the program that serves this feed lists its hosts with Feed::with_hosts(..)",
    };
    Problem::new(Code::HostNotAllowed, format!("{what}: {how}"))
}

/// What was asked for; `None` if that is not said, or said twice.
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

fn tells_of_a_proxy(name: &HeaderName) -> bool {
    name == FORWARDED
        || name == VIA
        || name == "x-real-ip"
        || name.as_str().starts_with("x-forwarded-")
}

fn peer(parts: &Parts) -> Option<SocketAddr> {
    let connection = parts.extensions.get::<Connection>().map(|connection| connection.peer);
    connection.or_else(|| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0))
}

/// Refuses what a page of another site may have caused: whatever is not safe,
/// as appends and sockets are, and what a cookie authenticates.
pub(super) fn check_origin(feed: &Feed, parts: &Parts, is_safe: bool) -> Result<(), Problem> {
    let by_cookie = feed.authorize.is_some()
        && parts.headers.contains_key(COOKIE)
        && !parts.headers.contains_key(AUTHORIZATION);
    if is_safe && !by_cookie {
        return Ok(());
    }
    let site = parts.headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    let mut origins = parts.headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_none() {
        return match site {
            Some(b"cross-site") => Err(foreign("a page of another site asks")),
            Some(b"same-origin" | b"none") => Ok(()),
            _ if by_cookie => Err(foreign("a cookie authenticates, and no 'Origin' says who asks")),
            _ => Ok(()),
        };
    }
    let cross_site = site == Some(b"cross-site");
    let own = host(parts);
    let trusted = |origin: Origin| {
        feed.origins.iter().any(|listed| listed.is_same(&origin))
            || (!cross_site && own.as_ref().is_some_and(|host| origin.is_of(host)))
    };
    let all_trusted =
        origins.all(|origin| origin.to_str().ok().and_then(Origin::parse).is_some_and(trusted));
    if all_trusted { Ok(()) } else { Err(foreign("a page of another site asks")) }
}

fn foreign(what: &str) -> Problem {
    let detail = format!(
        "{what}: only this host's own pages may, and the origins that the program lists with \
         Feed::with_origins(..)"
    );
    Problem::new(Code::OriginNotAllowed, detail)
}

/// The listed origin that asks, if one does.
pub(super) fn listed_origin<'a>(feed: &Feed, parts: &'a Parts) -> Option<&'a http::HeaderValue> {
    let text = parts.headers.get(ORIGIN)?;
    let origin = text.to_str().ok().and_then(Origin::parse)?;
    feed.origins.iter().any(|listed| listed.is_same(&origin)).then_some(text)
}
