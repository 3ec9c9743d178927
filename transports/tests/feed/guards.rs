//! Hosts, peers, methods, and the guard of an application's own routes.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use downlink_transports::feed::{Feed, Refusal, Rights};
use downlink_transports::{Access, Connection};
use http::request::Parts;
use http::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{App, empty, from_here, get, hub, post, request};

async fn everything(_: &Parts) -> Result<Rights, Refusal> {
    Ok(Rights::everything())
}

fn of_host(host: &str) -> http::request::Builder {
    Request::builder().uri("/feed").header("host", host)
}

#[tokio::test]
async fn a_feed_is_local_by_default() {
    let hub = hub().await;
    let app = App::new(&hub);
    for host in
        ["localhost", "localhost:3000", "app.localhost", "127.0.0.1:80", "127.9.9.9", "[::1]:3000"]
    {
        assert_eq!(app.ask(empty(of_host(host))).await.status, 200, "{host}");
    }
    for host in
        ["evil.test", "evil.test:3000", "192.168.0.7", "localhost.evil.test", "[::2]", "a b"]
    {
        app.ask(empty(of_host(host))).await.problem(403, "host-not-allowed");
    }
    for host in [
        "localhost:",
        "localhost.",
        "localhost.:3000",
        "[::1]:",
        "[0:0:0:0:0:0:0:1]:3000",
        "[::ffff:127.0.0.1]",
    ] {
        assert_eq!(app.ask(empty(of_host(host))).await.status, 200, "{host}");
    }
    let missing = app.ask(empty(Request::builder().uri("/feed"))).await;
    let detail = &missing.problem(403, "host-not-allowed")["detail"];
    assert!(detail.as_str().unwrap().contains("no 'Host'"), "{detail}");
    let two = of_host("localhost").header("host", "localhost");
    app.ask(empty(two)).await.problem(403, "host-not-allowed");
    let other_target = Request::builder().uri("http://evil.test/feed").header("host", "localhost");
    app.ask(empty(other_target)).await.problem(403, "host-not-allowed");
    for path in ["/nothing", "/streams/s"] {
        let request = Request::builder().uri(path).header("host", "evil.test");
        app.ask(empty(request)).await.problem(403, "host-not-allowed");
    }
    let options = of_host("evil.test").method(Method::OPTIONS);
    app.ask(empty(options)).await.problem(403, "host-not-allowed");
}

#[tokio::test]
async fn the_refusal_of_other_machines_names_the_call_to_make() {
    let hub = hub().await;
    let app = App::new(&hub);
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-anything",
        "x-real-ip",
        "via",
    ] {
        let answer = app.ask(empty(get("/feed").header(name, "1.2.3.4"))).await;
        let problem = answer.problem(403, "host-not-allowed");
        assert!(problem["detail"].as_str().unwrap().contains("with_public_access"), "{problem}");
    }
    let from = |peer: &str| {
        let peer: SocketAddr = peer.parse().unwrap();
        (
            get("/feed").extension(Connection::new(peer, CancellationToken::new())),
            get("/feed").extension(ConnectInfo(peer)),
        )
    };
    for peer in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
        let (by_serve, by_axum) = from(peer);
        assert_eq!(app.ask(empty(by_serve)).await.status, 200, "{peer}");
        assert_eq!(app.ask(empty(by_axum)).await.status, 200, "{peer}");
    }
    let (by_serve, by_axum) = from("192.168.0.7:9");
    app.ask(empty(by_serve)).await.problem(403, "host-not-allowed");
    app.ask(empty(by_axum)).await.problem(403, "host-not-allowed");
    for opened in
        [Feed::new(&hub).with_public_access(), Feed::new(&hub).with_authorizer(everything)]
    {
        let app = App::of(opened);
        let request = from("192.168.0.7:9").0.header("x-forwarded-for", "1.2.3.4");
        assert_eq!(app.ask(empty(request)).await.status, 200);
        assert_eq!(app.ask(empty(of_host("feed.example"))).await.status, 200);
    }
}

/// Sends a request with a local `Host` to a plain `axum::serve`, and returns the whole
/// answer.
async fn ask_plain(app: Router, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async move { axum::serve(listener, app).await.unwrap() };
    let _server = AbortOnDropHandle::new(tokio::spawn(server));
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = r#"{"type":"T","data":1}"#;
    let request = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_peer_that_is_not_known_is_refused_with_the_calls_to_make() {
    let hub = hub().await;
    let feed = || Feed::new(&hub).with_append();
    let own = Router::new().route("/command", axum::routing::post(async || "done"));
    let app = feed().guard(own).nest("/api", feed().router());
    for request in ["GET /api/feed", "POST /api/streams/s", "GET /api/nothing", "POST /command"] {
        let answer = ask_plain(app.clone(), request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request}: {answer}");
        for word in [
            r#""code":"host-not-allowed""#,
            "downlink_transports::serve::serve",
            "router.into_make_service_with_connect_info::<SocketAddr>()",
            "Feed::with_authorizer(..)",
            "Feed::with_public_access()",
        ] {
            assert!(answer.contains(word), "{request}: {answer}");
        }
    }
    assert_eq!(hub.head().await.unwrap(), downlink::Cursor::START);
    let public = feed().with_public_access().router();
    let answer = ask_plain(public, "POST /streams/s").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let authorized = feed().with_authorizer(everything).router();
    assert!(ask_plain(authorized, "GET /feed").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_host_list_restricts_a_public_feed() {
    let hub = hub().await;
    let app = App::of(
        Feed::new(&hub).with_public_access().with_hosts(["feed.example", "*.apps.example"]),
    );
    assert_eq!(app.ask(empty(of_host("feed.example:8080"))).await.status, 200);
    assert_eq!(app.ask(empty(of_host("a.apps.example"))).await.status, 200);
    app.ask(empty(of_host("localhost"))).await.problem(403, "host-not-allowed");
    let local = App::of(Feed::new(&hub).with_hosts(["dev.test"]));
    assert_eq!(local.ask(empty(of_host("dev.test"))).await.status, 200);
    assert_eq!(local.ask(empty(of_host("localhost"))).await.status, 200);
    local.ask(empty(of_host("other.test"))).await.problem(403, "host-not-allowed");
}

#[tokio::test]
async fn the_access_follows_from_the_options() {
    let hub = hub().await;
    assert_eq!(Feed::new(&hub).access(), Access::LocalOnly);
    assert_eq!(Feed::new(&hub).with_public_access().access(), Access::Public);
    assert_eq!(Feed::new(&hub).with_authorizer(everything).access(), Access::Authorized);
    let both = Feed::new(&hub).with_public_access().with_authorizer(everything);
    assert_eq!(both.access(), Access::Authorized);
    // A closure that takes what it needs from the request first.
    let token = String::from("let-me-in");
    let closure = Feed::new(&hub).with_authorizer(move |parts: &Parts| {
        let known = parts.headers.get("authorization").is_some_and(|sent| *sent == token);
        async move {
            if known {
                Ok(Rights::everything())
            } else {
                Err(Refusal::unauthenticated("who are you"))
            }
        }
    });
    let app = App::of(closure);
    app.get("/feed").await.problem(401, "unauthenticated");
    assert_eq!(app.ask(empty(get("/feed").header("authorization", "let-me-in"))).await.status, 200);
}

#[tokio::test]
async fn methods_and_options_are_answered_before_authorization() {
    let hub = hub().await;
    let app = App::new(&hub);
    for (path, allow) in
        [("/feed", "GET, HEAD, OPTIONS"), ("/streams/s", "GET, HEAD, POST, OPTIONS")]
    {
        let options = app.ask(empty(request(Method::OPTIONS, path))).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, allow));
        assert_eq!(options.body.len(), 0);
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            let answer = app.ask(empty(request(method, path))).await;
            answer.problem(405, "method-not-allowed");
            assert_eq!(answer.header("allow"), allow);
        }
    }
    app.ask(empty(post("/feed"))).await.problem(405, "method-not-allowed");
    let refusing = App::of(Feed::new(&hub).with_authorizer(|_: &Parts| async {
        Err(Refusal::unauthenticated("no credentials are accepted here"))
    }));
    assert_eq!(refusing.ask(empty(request(Method::OPTIONS, "/feed"))).await.status, 204);
    refusing.ask(empty(request(Method::PUT, "/feed"))).await.problem(405, "method-not-allowed");
    refusing.get("/feed?nonsense=1").await.problem(401, "unauthenticated");
    let head = refusing.ask(empty(request(Method::HEAD, "/feed"))).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (401, 0));
}

#[tokio::test]
async fn guard_checks_routes_of_the_application() {
    let hub = hub().await;
    let feed = Feed::new(&hub);
    let route = axum::routing::any(async || "done");
    let own = Router::new().route("/command", route);
    let app = feed.guard(own).nest("/api", feed.router());
    let ask = |request: http::request::Builder| {
        let response = tower::ServiceExt::oneshot(app.clone(), from_here(empty(request)));
        async move { response.await.unwrap().status().as_u16() }
    };
    let command = |method| request(method, "/command");
    assert_eq!(ask(command(Method::POST)).await, 200);
    let own_page = "http://localhost:3000";
    assert_eq!(ask(command(Method::POST).header("origin", own_page)).await, 200);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(ask(command(method).header("origin", "http://evil.test")).await, 403);
    }
    assert_eq!(ask(command(Method::GET).header("origin", "http://evil.test")).await, 200);
    assert_eq!(ask(Request::builder().uri("/command").header("host", "evil.test")).await, 403);
    assert_eq!(ask(get("/api/feed")).await, 200);
}
