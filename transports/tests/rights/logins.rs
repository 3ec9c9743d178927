use std::sync::Arc;
use std::time::Duration;

use downlink::transport::Frame;
use downlink::{Cursor, ErrorKind, MemoryStore, Result, Subscribe};
use downlink_transports::auth::{SigningKey, Ticket, Tickets};
use downlink_transports::client::{Client, TransportKind};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::json;

use crate::company::{JWT_SECRET, Logins, Process, TRANSPORTS, User, token};
use crate::support::{Raw, soon};

/// A token of the login service that expires so many seconds from now.
pub(crate) fn jwt(name: &str, seconds: i64) -> String {
    let exp = get_current_timestamp().checked_add_signed(seconds).unwrap();
    let claims = json!({"sub": name, "iss": "login", "aud": "company", "exp": exp});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(&JWT_SECRET).unwrap()).unwrap()
}

/// The name and value of the session cookie.
pub(crate) fn cookie(logins: &Logins, name: &str) -> String {
    let set = logins.cookies.issue(&User::new(name)).unwrap();
    set.to_str().unwrap().split(';').next().unwrap().to_owned()
}

fn with(client: Client, name: HeaderName, value: &str) -> Client {
    client.with_header(name, HeaderValue::try_from(value).unwrap())
}

async fn start(logins: &Logins, rotation: Duration) -> Process {
    let store = Arc::new(MemoryStore::new());
    let process = Process::with(store, logins, |feed| feed.with_rotation(rotation)).await;
    process.has_role("ann", "customer").await;
    process
}

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_works_on_every_transport() {
    let logins = Logins::new();
    let process = start(&logins, hours(1)).await;
    process.order("bob").await;
    let own = process.order("ann").await;
    for transport in TRANSPORTS {
        let client = || process.anonymous(transport);
        let cookie = cookie(&logins, "ann");
        let by_cookie = with(client(), COOKIE, &cookie);
        let origin = HeaderName::from_static("origin");
        for client in [
            with(client(), AUTHORIZATION, &format!("Bearer {}", token("ann"))),
            with(client(), AUTHORIZATION, &format!("Bearer {}", jwt("ann", 60))),
            with(by_cookie.clone(), origin.clone(), &process.url()),
        ] {
            let mut frames = soon("a stream", client.connect(Subscribe::new())).await.unwrap();
            assert_eq!(next_event(&mut frames).await, own, "{transport}");
        }
        for refused in [
            client(),
            with(client(), AUTHORIZATION, "Bearer unknown"),
            with(client(), AUTHORIZATION, &format!("Bearer {}", jwt("ann", -120))),
            with(client(), COOKIE, "__Host-session=forged"),
            // Of a page of another site, or of no known page.
            with(by_cookie.clone(), origin, "https://evil.example"),
            by_cookie,
            // The page that sends the token did not set the cookie.
            with(with(client(), COOKIE, &cookie), AUTHORIZATION, "Bearer unknown"),
        ] {
            let error = refused.connect(Subscribe::new()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{transport}: {error}");
        }
    }
}

async fn next_event(frames: &mut BoxStream<'static, Result<Frame>>) -> Cursor {
    loop {
        let frame = soon("an event", frames.next()).await.unwrap().unwrap();
        if let Frame::Event { event, .. } = frame {
            return event.cursor();
        }
    }
}

/// A token within its leeway opens a stream that ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_ends_its_streams_and_opens_no_more() {
    let process = start(&Logins::new(), hours(1)).await;
    for transport in [TransportKind::Sse, TransportKind::WebSocket] {
        // Two seconds are left of the leeway of one minute.
        let bearer = format!("Bearer {}", jwt("ann", -58));
        let client = with(process.anonymous(transport), AUTHORIZATION, &bearer);
        let mut frames = soon("a stream", client.connect(Subscribe::new())).await.unwrap();
        let mut bye = None;
        while let Some(Ok(frame)) = soon("the end of the stream", frames.next()).await {
            if let Frame::Bye { reason, .. } = frame {
                bye = Some(reason);
            }
        }
        assert_eq!(bye.as_deref(), Some("expired"), "{transport}");
        let refused = client.connect(Subscribe::new()).await.err();
        assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Invalid), "{transport}");
    }
    // A poll waits no longer than its token is valid.
    let bearer = jwt("ann", -58);
    let request = format!(
        "GET /feed?after=now&wait=50 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    );
    let mut raw = Raw::connect(process.address()).await;
    raw.send(&request).await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
    raw.send(&request).await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 401"));
}

/// What an `EventSource` does: it opens the same URL again and again.
async fn open_by_url(process: &Process, ticket: &Ticket, last: Option<&str>) -> Raw {
    let mut raw = Raw::connect(process.address()).await;
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    raw.send(&format!(
        "GET /feed?after=now&ticket={} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}\r\n",
        ticket.as_str()
    ))
    .await;
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_reused_over_rotations() {
    let logins = Logins::new();
    let process = start(&logins, Duration::from_millis(200)).await;
    let ticket = logins.tickets.issue(&User::new("ann")).unwrap();
    let mut last: Option<String> = None;
    for round in 0..3 {
        let mut raw = open_by_url(&process, &ticket, last.as_deref()).await;
        let head = raw.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "round {round}: {head}");
        let ready = raw.until("event: feed.ready").await;
        let id = ready.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        process.order("bob").await;
        let own = process.order("ann").await;
        let text = raw.rest().await;
        assert!(text.contains("\"reason\":\"rotate\""), "round {round}: {text}");
        assert!(!text.contains("order-bob"), "round {round}: {text}");
        // An order may come after the rotation: then the next stream has it.
        last = Some(if text.contains(&own.to_string()) { own.to_string() } else { id });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_ends_its_stream_and_opens_sockets_for_reading() {
    let logins = Logins::new();
    let store = Arc::new(MemoryStore::new());
    let process = Process::with(store, &logins, downlink_transports::feed::Feed::with_append).await;
    process.has_role("ann", "customer").await;
    let short = Tickets::new(logins.keys.clone()).with_lifetime(Duration::from_secs(2));
    let ticket = short.issue(&User::new("ann")).unwrap();
    let mut raw = open_by_url(&process, &ticket, None).await;
    let text = raw.rest().await;
    assert!(text.contains("\"reason\":\"expired\""), "{text}");
    let refused = open_by_url(&process, &ticket, None).await.answer().await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("has expired"), "{refused}");

    let ticket = logins.tickets.issue(&User::new("ann")).unwrap();
    let path = format!("/streams/order-ann?ticket={}", ticket.as_str());
    for (method, status) in [("GET", "404"), ("HEAD", "404"), ("POST", "401")] {
        let mut raw = Raw::connect(process.address()).await;
        raw.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
             Content-Type: application/json\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let answer = raw.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method}: {answer}");
    }
    let mut raw = Raw::connect(process.address()).await;
    raw.send(&format!(
        "GET /feed/ws?ticket={} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ticket.as_str()
    ))
    .await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    let append = r#"{"frame":"append","req":"a","stream":"order-ann","expected":"any","events":[{"type":"T","data":{},"tags":["user:ann"]}]}"#;
    tokio::io::AsyncWriteExt::write_all(&mut raw.0, &masked(append)).await.unwrap();
    // The head of the message that answers.
    soon("an answer", tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut [0; 4])).await.unwrap();
    let answer = raw.until("\"code\":\"forbidden\"").await;
    assert!(answer.contains("\"req\":\"a\""), "{answer}");
}

/// A text message of a client, masked with zeros.
fn masked(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&[0x81, 0x80 | 0x7e][..], &length, &[0; 4], text.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_under_open_streams() {
    let logins = Logins::new();
    let process = start(&logins, hours(1)).await;
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    logins.keys.replace(old.clone(), []);
    let ticket = logins.tickets.issue(&User::new("ann")).unwrap();
    let mut open = open_by_url(&process, &ticket, None).await;
    open.until("event: feed.live").await;

    logins.keys.replace(new.clone(), [old]);
    assert!(open_by_url(&process, &ticket, None).await.until("\r\n").await.contains("200"));
    let renewed = logins.tickets.issue(&User::new("ann")).unwrap();
    assert_ne!(renewed.as_str().split('.').nth(1), ticket.as_str().split('.').nth(1));

    logins.keys.replace(new, []);
    let refused = open_by_url(&process, &ticket, None).await.answer().await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(open_by_url(&process, &renewed, None).await.until("\r\n").await.contains("200"));
    // The stream of before stays open.
    let own = process.order("ann").await;
    open.until(&own.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_is_told_to_the_layers_of_the_application() {
    use downlink_transports::feed::Principal;
    use tower::ServiceExt;

    let process = start(&Logins::new(), hours(1)).await;
    let request = http::Request::builder()
        .uri("/feed")
        .header("host", "localhost")
        .header(AUTHORIZATION, format!("Bearer {}", token("ann")));
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = process.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.extensions().get::<Principal>(), Some(&Principal::new(User::new("ann"))));
}
