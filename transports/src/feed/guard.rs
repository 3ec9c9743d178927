use std::net::SocketAddr;

use axum::extract::{ConnectInfo, OriginalUri};
use http::HeaderName;
use http::header::{FORWARDED, HOST, VIA};
use http::request::Parts;

use super::authority::Authority;
use super::feed::Feed;
use crate::access::Access;
use crate::connection::Connection;
use crate::wire::{Code, Problem};

/// Refuses requests for another host and, while only this machine has access,
/// requests that may be from other machines.
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
        Some(peer) if peer.ip().to_canonical().is_loopback() => Ok(()),
        Some(_) => Err(host_not_allowed("the request came from another machine", feed)),
        None => Err(unknown_peer()),
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

/// The problem of a server that does not say where requests come from.
fn unknown_peer() -> Problem {
    let detail = "only programs on the same machine have access, and the server does not tell the \
                  feed where the request came from: serve the router with \
                  downlink_transports::serve::serve, or pass axum::serve the result of \
                  router.into_make_service_with_connect_info::<SocketAddr>(), or open the feed \
                  with Feed::with_authorizer(..) or Feed::with_public_access()";
    Problem::new(Code::HostNotAllowed, detail)
}

/// The host of the request; `None` if it is missing or ambiguous.
pub(super) fn host(parts: &Parts) -> Option<Authority> {
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

/// Refuses paths with a segment that is `.` or `..`, also percent-encoded: browsers
/// and proxies resolve it, so that it means one path to them and another here.
pub(super) fn check_path(parts: &Parts, code: Code) -> Result<(), Problem> {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    if uri.path().split('/').any(is_dot_segment) {
        let detail = "the path has a segment '.' or '..', which browsers and proxies resolve to \
                      another path: send the path that you mean";
        return Err(Problem::new(code, detail));
    }
    Ok(())
}

fn is_dot_segment(segment: &str) -> bool {
    let mut decoded = percent_encoding::percent_decode_str(segment);
    let is_dots = decoded.by_ref().take(2).all(|byte| byte == b'.') && decoded.next().is_none();
    is_dots && !segment.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_recognized_however_they_are_encoded() {
        for dots in [".", "..", "%2e", "%2E%2e", ".%2E", "%2e."] {
            assert!(is_dot_segment(dots), "{dots}");
        }
        for name in ["", "...", "%2e%2e%2e", "a", "a.", ".a", "..a", "a..", "%252e", "a%2F..%2Fc"] {
            assert!(!is_dot_segment(name), "{name}");
        }
    }
}
