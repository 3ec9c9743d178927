//! Bearer tokens that expire: the client asks for another one and goes on.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

#[path = "support/gateway.rs"]
mod gateway;
mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use downlink::transport::{Endpoint, Frame};
use downlink::{Error, ErrorKind, Expected, Hub, NewEvent, Subscribe};
use downlink_transports::client::{Client, Fallback, Follow, TokenReason, TransportKind};
use downlink_transports::feed::{Feed, Refusal, Rights};
use downlink_transports::serve::Server;
use futures::StreamExt;
use gateway::Gateway;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use support::{listener, soon};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(20);

/// Long enough for a test.
const LONG: Duration = Duration::from_hours(1);

/// Issues tokens and checks them, and so stands for both ends.
#[derive(Clone)]
struct Issuer {
    lifetime: Duration,
    state: Arc<Mutex<Issued>>,
}

#[derive(Default)]
struct Issued {
    /// The end of each token; its number is in the token.
    ends: Vec<Instant>,
    asked: Vec<TokenReason>,
}

impl Issuer {
    fn new(lifetime: Duration) -> Self {
        Self { lifetime, state: Arc::default() }
    }

    fn issue(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.ends.push(Instant::now() + self.lifetime);
        format!("token-{}", state.ends.len() - 1)
    }

    /// Returns the last token, unless the client asks for another one.
    fn token(&self, reason: TokenReason) -> String {
        let mut state = self.state.lock().unwrap();
        state.asked.push(reason);
        let is_first = state.ends.is_empty();
        drop(state);
        if is_first || reason == TokenReason::Renew { self.issue() } else { self.cached() }
    }

    fn provide(
        &self,
    ) -> impl Fn(TokenReason) -> std::future::Ready<downlink::Result<String>> + use<> {
        let issuer = self.clone();
        move |reason| std::future::ready(Ok(issuer.token(reason)))
    }

    /// The last token.
    fn cached(&self) -> String {
        format!("token-{}", self.state.lock().unwrap().ends.len().saturating_sub(1))
    }

    fn asked(&self) -> Vec<TokenReason> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Makes every token that was issued so far invalid.
    fn revoke(&self) {
        self.state.lock().unwrap().ends.fill(Instant::now());
    }

    fn check(&self, authorization: Option<&HeaderValue>) -> Result<Rights, Refusal> {
        let number =
            authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer token-"));
        let number: Option<usize> = number.and_then(|number| number.parse().ok());
        let end = number.and_then(|number| self.state.lock().unwrap().ends.get(number).copied());
        match end.and_then(|end| end.checked_duration_since(Instant::now())) {
            Some(left) => Ok(Rights::everything().with_lifetime(left)),
            None => Err(Refusal::unauthenticated("this token is not valid")),
        }
    }
}

struct Served {
    hub: Hub,
    address: SocketAddr,
    issuer: Issuer,
}

impl Served {
    /// A feed with one event that accepts the tokens of this issuer.
    async fn start(lifetime: Duration) -> Self {
        let (hub, issuer) = (downlink::memory::hub().await.unwrap(), Issuer::new(lifetime));
        let (listener, address) = listener().await;
        let checks = issuer.clone();
        let authorize =
            move |parts: &Parts| std::future::ready(checks.check(parts.headers.get(AUTHORIZATION)));
        let feed = Feed::new(&hub).with_authorizer(authorize).with_append();
        tokio::spawn(Server::new(feed.router()).serve(listener, CancellationToken::new()));
        let served = Self { hub, address, issuer };
        served.append().await;
        served
    }

    async fn append(&self) {
        let event = NewEvent::json("FlightDelayed", "{}").unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    fn client(&self) -> Client {
        client(self.address).with_token_provider(self.issuer.provide())
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(Endpoint::new(format!("http://{address}")))
        .with_reconnect_delay(PAUSE..=PAUSE * 2)
        .with_max_server_delay(PAUSE * 4)
        .with_poll_wait(Duration::from_secs(1))
}

fn transports() -> Vec<Fallback> {
    let single = [TransportKind::Sse, TransportKind::LongPoll, TransportKind::WebSocket];
    single.map(Fallback::from).into_iter().chain([Fallback::all()]).collect()
}

async fn next_event(follow: &mut Follow, what: &str) -> u64 {
    loop {
        match soon(what, follow.next()).await.unwrap() {
            Ok(Frame::Event { event, .. }) => return event.version().get(),
            Ok(_) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

async fn error(follow: &mut Follow, what: &str) -> Error {
    loop {
        if let Err(error) = soon(what, follow.next()).await.expect(what) {
            return error;
        }
    }
}

#[tokio::test]
async fn following_outlives_its_tokens_and_misses_nothing() {
    futures::future::join_all(transports().into_iter().map(outlives_its_tokens)).await;
}

async fn outlives_its_tokens(transport: Fallback) {
    let what = format!("{transport:?}");
    let served = Served::start(Duration::from_secs(2)).await;
    let mut follow = served.client().with_transport(transport).follow(Subscribe::new()).unwrap();
    let mut version = 0;
    while served.issuer.asked().len() < 4 {
        version += 1;
        assert_eq!(next_event(&mut follow, &what).await, version, "{what}");
        tokio::time::sleep(PAUSE).await;
        served.append().await;
    }
    // It knows when a token has expired, and does not try it again.
    let mut asked = served.issuer.asked().into_iter();
    assert_eq!(asked.next(), Some(TokenReason::Connect), "{what}");
    assert!(asked.all(|reason| reason == TokenReason::Renew), "{what}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    for transport in transports() {
        let what = format!("{transport:?}");
        let served = Served::start(LONG).await;
        served.issuer.issue();
        served.issuer.revoke();
        let client = served.client().with_transport(transport.clone());
        let mut follow = client.follow(Subscribe::new()).unwrap();
        assert_eq!(next_event(&mut follow, &what).await, 1);
        let once = [TokenReason::Connect, TokenReason::Renew];
        assert_eq!(served.issuer.asked(), once, "{what}");
        drop(follow);

        // The connections of `connect` and `socket`, too.
        served.issuer.revoke();
        let mut frames = soon(&what, client.connect(Subscribe::new())).await.unwrap();
        assert!(matches!(soon(&what, frames.next()).await, Some(Ok(Frame::Ready { .. }))));
        assert_eq!(served.issuer.asked(), once.repeat(2), "{what}");
        served.issuer.revoke();
        let socket = soon(&what, client.socket()).await.unwrap();
        soon(&what, socket.ping()).await.unwrap();
        assert_eq!(served.issuer.asked(), once.repeat(3), "{what}");
    }
}

#[tokio::test]
async fn a_new_token_that_is_refused_ends_the_client() {
    for transport in transports() {
        let what = format!("{transport:?}");
        // Tokens are invalid from the beginning.
        let served = Served::start(Duration::ZERO).await;
        let client = served.client().with_transport(transport.clone());
        let mut follow = client.follow(Subscribe::new()).unwrap();
        let refused = error(&mut follow, &what).await;
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("this token is not valid"), "{refused}");
        assert_eq!(served.issuer.asked(), [TokenReason::Connect, TokenReason::Renew], "{what}");
        assert!(client.connect(Subscribe::new()).await.is_err());
        assert!(client.socket().await.is_err());
        assert_eq!(served.issuer.asked().len(), 6, "{what}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_until_it_says_that_it_is_final() {
    let served = Served::start(LONG).await;
    let token = served.issuer.issue();
    for transport in transports() {
        let what = format!("{transport:?}");
        let calls = Arc::new(Mutex::new(0));
        let (counted, token) = (Arc::clone(&calls), token.clone());
        let provide = move |_| {
            let mut calls = counted.lock().unwrap();
            *calls += 1;
            let result = match *calls {
                1 => Err(Error::new(ErrorKind::Unavailable, "no connection to the issuer")),
                2 => Err(Error::new(ErrorKind::Backend, "the issuer answered 500")),
                3 => return futures::future::Either::Left(std::future::pending()),
                4 => Ok(token.clone()),
                _ => Err(Error::new(ErrorKind::Invalid, "the account was closed")),
            };
            futures::future::Either::Right(std::future::ready(result))
        };
        let gateway = Gateway::start(served.address).await;
        let client = client(gateway.address)
            .with_transport(transport)
            .with_connect_deadline(Duration::from_secs(1))
            .with_token_provider(provide);
        let mut follow = client.follow(Subscribe::new()).unwrap();
        assert_eq!(next_event(&mut follow, &what).await, 1);
        assert_eq!(*calls.lock().unwrap(), 4, "{what}");
        // Cut, it asks once more and ends.
        gateway.answer("");
        let error = error(&mut follow, &what).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}");
        assert!(error.to_string().contains("the account was closed"), "{error}: {what}");
        assert_eq!(*calls.lock().unwrap(), 5, "{what}");
    }
}

#[tokio::test]
async fn a_gateway_that_refuses_a_token_does_not_end_the_client() {
    for transport in transports() {
        let what = format!("{transport:?}");
        let served = Served::start(LONG).await;
        let gateway = Gateway::start(served.address).await;
        let client = client(gateway.address).with_token_provider(served.issuer.provide());
        let mut follow = client.with_transport(transport).follow(Subscribe::new()).unwrap();
        assert_eq!(next_event(&mut follow, &what).await, 1);
        gateway.answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        tokio::select! {
            () = gateway.has_answered(4) => {}
            version = next_event(&mut follow, &what) => panic!("event {version}: {what}"),
        }
        assert!(served.issuer.asked().contains(&TokenReason::Renew), "{what}");
        gateway.pass();
        served.append().await;
        assert_eq!(next_event(&mut follow, &what).await, 2, "{what}");
    }
}

/// The function in the book.
#[tokio::test]
async fn a_function_returns_the_tokens() {
    let served = Served::start(LONG).await;
    let (issuer, endpoint) =
        (served.issuer.clone(), Endpoint::new(format!("http://{}", served.address)));
    // ANCHOR: token_provider
    let client = Client::new(endpoint).with_token_provider(move |reason| {
        let issuer = issuer.clone();
        async move {
            let token = match reason {
                TokenReason::Renew => issuer.issue(),
                _ => issuer.cached(),
            };
            Ok(token)
        }
    });
    // ANCHOR_END: token_provider
    let mut follow = client.follow(Subscribe::new()).unwrap();
    assert_eq!(next_event(&mut follow, "an event").await, 1);
}

#[tokio::test]
async fn a_header_works_without_a_provider_and_neither_is_shown() {
    let served = Served::start(LONG).await;
    let token = served.issuer.issue();
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    for transport in transports() {
        let client = client(served.address).with_transport(transport);
        let client = client.with_header(AUTHORIZATION, bearer.clone());
        let mut follow = client.follow(Subscribe::new()).unwrap();
        assert_eq!(next_event(&mut follow, "an event").await, 1);
        let frames = client.connect(Subscribe::new()).await.unwrap();
        let shown = format!("{client:?} {follow:?}");
        assert!(!shown.contains("token-"), "{shown}");
        drop(frames);

        // The provider's token replaces it.
        let outdated = HeaderValue::from_static("Bearer outdated");
        let client = client.with_header(AUTHORIZATION, outdated);
        assert!(client.connect(Subscribe::new()).await.is_err());
        let client = client.with_token_provider(served.issuer.provide());
        client.connect(Subscribe::new()).await.map(drop).unwrap();
        let shown = format!("{client:?}");
        assert!(!shown.contains("token-") && !shown.contains("outdated"), "{shown}");
    }
}
