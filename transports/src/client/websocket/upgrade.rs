use http::StatusCode;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::response::Parts;
use hyper::upgrade::Upgraded;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::http_connection::{HttpConnection, within};
use crate::client::request::LAST_EVENT_ID;

const PROTOCOL: &str = "feed.v1.json";

/// Opens a WebSocket with these parameters and, in the header, this cursor.
pub(super) async fn upgrade(
    options: &ConnectOptions,
    parameters: &[String],
    cursor: Option<HeaderValue>,
) -> Result<Upgraded, Failure> {
    let target = options.target()?;
    let mut request = options.request(&target, &target.path("/feed/ws", parameters))?;
    let key = generate_key();
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    headers.insert(
        SEC_WEBSOCKET_KEY,
        HeaderValue::try_from(&key).expect("base64 is a valid header value"),
    );
    headers.extend(cursor.map(|cursor| (LAST_EVENT_ID, cursor)));
    let deadline = options.answer_deadline;
    let mut connection = HttpConnection::handshake(options.connect(&target).await?).await?;
    let mut parts = within(deadline, connection.send(request)).await?;
    if is_accepted(&parts, &key) {
        return within(deadline, connection.upgraded(&mut parts)).await;
    }
    let body = connection.refusal_body(deadline).await;
    Err(Failure::from_answer(&parts, &body, "not a WebSocket of a feed"))
}

fn is_accepted(answer: &Parts, key: &str) -> bool {
    let has = |name, text: &str| {
        let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case(text))
    };
    answer.status == StatusCode::SWITCHING_PROTOCOLS
        && has(UPGRADE, "websocket")
        && has(SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes()))
        && is_our_protocol(&answer.headers)
}

/// Whether the server selected our subprotocol, or none.
fn is_our_protocol(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().all(|protocol| protocol == PROTOCOL)
}
