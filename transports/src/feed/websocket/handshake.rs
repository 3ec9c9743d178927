use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::wire::{Code, Problem};

/// The subprotocol of the feed.
const PROTOCOL: &str = "feed.v1.json";

/// A valid request for a WebSocket.
pub(super) struct Handshake {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    names_protocol: bool,
}

impl Handshake {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let is_upgrade = parts.method == Method::GET
            && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
            && tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"));
        let upgrade = parts.extensions.get::<OnUpgrade>().filter(|_| is_upgrade);
        let upgrade = upgrade.ok_or_else(no_upgrade)?.clone();
        let version = one(headers, &SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            let detail =
                "this is WebSocket version 13 (RFC 6455): send 'Sec-WebSocket-Version: 13'";
            return Err(Problem::new(Code::UpgradeRequired, detail));
        }
        if has_body(headers) {
            // Its bytes would be read as frames.
            let detail = "the request for a WebSocket has a body: send none";
            return Err(Problem::new(Code::Invalid, detail));
        }
        Ok(Self { upgrade, accept: accept(headers)?, names_protocol: names_protocol(headers)? })
    }

    pub(super) fn response(&self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if self.names_protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
        response
    }

    /// The connection, once the response is written.
    pub(super) async fn upgraded(self) -> hyper::Result<Upgraded> {
        self.upgrade.await
    }
}

fn no_upgrade() -> Problem {
    let detail = "this path is for WebSockets, and the request is not an upgrade. If the client \
                  sent one, a proxy removed its headers; nginx needs 'proxy_http_version 1.1; \
                  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'. \
                  The same events are at /feed, without a WebSocket";
    Problem::new(Code::UpgradeRequired, detail)
}

fn has_body(headers: &HeaderMap) -> bool {
    let has_length = |length: &HeaderValue| length != "0";
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(has_length)
}

/// The `Sec-WebSocket-Accept` that answers the client's key.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let key = one(headers, &SEC_WEBSOCKET_KEY);
    let key = key.filter(|key| BASE64.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let key = key.ok_or_else(|| {
        let detail = "'Sec-WebSocket-Key' is missing or invalid: send 16 bytes in base64, once";
        Problem::new(Code::Invalid, detail)
    })?;
    let accept = derive_accept_key(key.as_bytes());
    Ok(HeaderValue::try_from(accept).expect("base64 is a valid header value"))
}

/// Whether the client offers subprotocols, of which one must be ours.
fn names_protocol(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut offered = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Ok(false);
    }
    if offered.any(|protocol| protocol == PROTOCOL) {
        return Ok(true);
    }
    let detail = format!("the subprotocol of this feed is '{PROTOCOL}': offer it, or none");
    Err(Problem::new(Code::Invalid, detail).with_parameter("Sec-WebSocket-Protocol"))
}

/// The value of a header that occurs once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim())
}

/// The elements of a list header.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}
