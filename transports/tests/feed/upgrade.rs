//! `GET /feed/ws`: the upgrade, within the process and over real connections under
//! both servers.

use std::net::SocketAddr;

use axum::Router;
use downlink_transports::feed::{Feed, Refusal, Rights};
use downlink_transports::serve::Server;
use http::request::Parts;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::peer::{Peer, Received, UPGRADE_HEADERS, refused};
use crate::support::{from_here, hub, put, put_many};

/// The headers of a browser, with some replaced, or removed if the value is empty.
fn with<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let is_changed = |name: &str| changed.iter().any(|(changed, _)| *changed == name);
    let kept = UPGRADE_HEADERS.into_iter().filter(|(name, _)| !is_changed(name));
    kept.chain(changed.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

async fn problem(
    router: &Router,
    uri: &str,
    changed: &[(&str, &str)],
    status: u16,
    code: &str,
) -> (String, Value) {
    let (head, body) = refused(router, "GET", uri, &with(changed)).await;
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{changed:?}: {head}{body}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{body}");
    (head, problem)
}

async fn accepted(router: &Router, changed: &[(&str, &str)]) -> String {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let router = router.clone();
    let service = hyper::service::service_fn(move |request| {
        tower::ServiceExt::oneshot(router.clone(), from_here(request))
    });
    let io = hyper_util::rt::TokioIo::new(theirs);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    tokio::spawn(async { connection.with_upgrades().await.unwrap() });
    Peer::upgrade(ours, "/feed/ws", &with(changed)).await.1
}

#[tokio::test]
async fn a_request_that_is_not_an_upgrade_gets_a_problem() {
    let hub = hub().await;
    let router = Feed::new(&hub).router();
    for changed in [
        &[("Upgrade", "")][..],
        &[("Connection", "")],
        &[("Connection", "close")],
        &[("Upgrade", "h2c")],
        &[("Connection", ""), ("Upgrade", "")],
    ] {
        let (head, problem) = problem(&router, "/feed/ws", changed, 426, "upgrade-required").await;
        assert!(head.contains("upgrade: websocket"), "{head}");
        let detail = problem["detail"].as_str().unwrap();
        for word in ["proxy_http_version 1.1", "proxy_set_header Upgrade", "/feed"] {
            assert!(detail.contains(word), "{detail}");
        }
    }
    for version in ["", "8", "14", "13, 8"] {
        let changed = [("Sec-WebSocket-Version", version)];
        let (head, _) = problem(&router, "/feed/ws", &changed, 426, "upgrade-required").await;
        assert!(head.contains("sec-websocket-version: 13"), "{head}");
    }
    for key in ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE="] {
        problem(&router, "/feed/ws", &[("Sec-WebSocket-Key", key)], 400, "invalid").await;
    }
}

#[tokio::test]
async fn methods_of_the_socket_path_are_checked() {
    let hub = hub().await;
    let router = Feed::new(&hub).with_append().router();
    let (head, body) = refused(&router, "HEAD", "/feed/ws", &with(&[])).await;
    assert!(head.starts_with("http/1.1 426") && body.is_empty(), "{head}");
    let (head, _) = refused(&router, "OPTIONS", "/feed/ws", &with(&[])).await;
    assert!(head.starts_with("http/1.1 204") && head.contains("allow: get, head, options"));
    let (head, _) = refused(&router, "POST", "/feed/ws", &with(&[])).await;
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head, options"));
}

#[tokio::test]
async fn the_offered_subprotocol_is_returned() {
    let hub = hub().await;
    let router = Feed::new(&hub).router();
    let protocol = |value| [("Sec-WebSocket-Protocol", value)];
    for offered in ["feed.v1.json", "graphql-ws, feed.v1.json", "feed.v1.json,feed.v9.json"] {
        let head = accepted(&router, &protocol(offered)).await;
        assert!(head.contains("sec-websocket-protocol: feed.v1.json\r\n"), "{head}");
    }
    let two = [("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "feed.v1.json")];
    assert!(accepted(&router, &two).await.contains("sec-websocket-protocol: feed.v1.json\r\n"));
    let head = accepted(&router, &[]).await;
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    for header in ["cache-control: no-store", "upgrade: websocket", "connection: upgrade"] {
        assert!(head.contains(header), "{head}");
    }
    for other in ["graphql-ws", "feed.v1", "Feed.v1.json", "a, b"] {
        problem(&router, "/feed/ws", &protocol(other), 400, "invalid").await;
    }
}

#[tokio::test]
async fn pages_of_other_sites_cannot_open_a_socket() {
    let hub = hub().await;
    let router = Feed::new(&hub).with_origins(["https://app.example"]).router();
    for origin in ["http://localhost", "http://localhost:80", "https://app.example"] {
        accepted(&router, &[("Origin", origin)]).await;
    }
    for origin in ["null", "http://evil.test", "http://localhost:81", "file://", "localhost"] {
        problem(&router, "/feed/ws", &[("Origin", origin)], 403, "origin-not-allowed").await;
    }
    for site in ["same-origin", "none"] {
        accepted(&router, &[("Sec-Fetch-Site", site)]).await;
    }
    let cross_site = [("Sec-Fetch-Site", "cross-site")];
    problem(&router, "/feed/ws", &cross_site, 403, "origin-not-allowed").await;
    let listed = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://app.example")];
    accepted(&router, &listed).await;
    let forged = [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://localhost")];
    problem(&router, "/feed/ws", &forged, 403, "origin-not-allowed").await;
    for host in ["evil.test", "localhost.evil.test"] {
        let rebound = [("Host", host), ("Origin", "http://evil.test")];
        problem(&router, "/feed/ws", &rebound, 403, "host-not-allowed").await;
    }
    let proxied = [("X-Forwarded-For", "1.2.3.4")];
    problem(&router, "/feed/ws", &proxied, 403, "host-not-allowed").await;
}

#[tokio::test]
async fn a_bad_url_is_refused_before_the_upgrade() {
    let hub = hub().await;
    put_many(&hub, 3).await;
    let router = Feed::new(&hub).with_parameter("tenant").router();
    for (query, status, code) in [
        ("strem=x", 400, "unknown-parameter"),
        ("limit=1", 400, "unknown-parameter"),
        ("stream=", 400, "bad-filter"),
        ("after=garbage", 400, "bad-cursor"),
        ("after=", 400, "bad-cursor"),
        ("heartbeat=no", 400, "bad-parameter"),
        ("after=9", 410, "cursor-ahead"),
        ("after=0000000000000003-00000001", 410, "history-changed"),
    ] {
        problem(&router, &format!("/feed/ws?{query}"), &[], status, code).await;
    }
    let header = [("Last-Event-ID", "garbage")];
    problem(&router, "/feed/ws?after=start", &header, 400, "bad-cursor").await;
    let mut peer = Peer::open(&router, "/feed/ws?tenant=7").await;
    peer.send(r#"{"frame":"ping","req":"no-subscription"}"#).await;
    peer.expect("pong").await;
    let mut peer = Peer::open(&router, "/feed/ws?tenant=7&after=1&stream=flight-1").await;
    peer.expect("ready").await;
    peer.cursors("0", 1).await;
}

#[tokio::test]
async fn an_unauthorized_upgrade_gets_an_error_status() {
    let hub = hub().await;
    let by_token = async |parts: &Parts| match parts.headers.get("authorization") {
        Some(token) if token == "Bearer good" => Ok(Rights::everything()),
        Some(_) => Err(Refusal::forbidden("this token is for something else")),
        None => Err(Refusal::unauthenticated("send the bearer token")),
    };
    let router = Feed::new(&hub).with_authorizer(by_token).router();
    let (head, _) = problem(&router, "/feed/ws", &[], 401, "unauthenticated").await;
    assert!(head.contains("www-authenticate: bearer"), "{head}");
    problem(&router, "/feed/ws", &[("Authorization", "Bearer bad")], 403, "forbidden").await;
    accepted(&router, &[("Authorization", "Bearer good")]).await;
    // A browser adds cookies on its own, so the origin must be known.
    problem(&router, "/feed/ws", &[("Cookie", "s=1")], 403, "origin-not-allowed").await;
}

#[tokio::test]
async fn a_draining_feed_refuses_upgrades() {
    let hub = hub().await;
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let router = Feed::new(&hub).with_shutdown(shutdown).router();
    let (head, _) = problem(&router, "/feed/ws", &[], 503, "draining").await;
    assert!(head.contains("retry-after: ") && head.contains("connection: close"), "{head}");
}

async fn dial(address: SocketAddr, uri: &str) -> Peer<TcpStream> {
    let host = address.to_string();
    let io = TcpStream::connect(address).await.unwrap();
    Peer::upgrade(io, uri, &with(&[("Host", &host)])).await.0
}

#[tokio::test]
async fn a_socket_opens_under_axum_serve() {
    let hub = hub().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/deep/api", Feed::new(&hub).router());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = async move { axum::serve(listener, app).await.unwrap() };
    let _server = AbortOnDropHandle::new(tokio::spawn(server));
    let mut peer = dial(address, "/deep/api/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    let cursor = put(&hub, "s", "T").await;
    assert_eq!(peer.cursors("0", 1).await, [cursor.to_string()]);
    hub.shutdown().await;
    peer.expect("bye").await;
    peer.expect_close(4503).await;
}

#[tokio::test]
async fn serve_drains_sockets() {
    let hub = hub().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = Server::new(Router::new().nest("/api", Feed::new(&hub).router()));
    let server = tokio::spawn(server.serve(listener, shutdown.clone()));
    let mut peer = dial(address, "/api/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    let cursor = put(&hub, "s", "T").await;
    assert_eq!(peer.cursors("0", 1).await, [cursor.to_string()]);
    shutdown.cancel();
    assert_eq!(peer.expect("bye").await["reason"], "draining");
    assert_eq!(peer.receive().await, Received::Close(4503));
    assert!(!server.is_finished(), "the server ends after its sockets");
    peer.close(4503).await;
    assert_eq!(peer.receive().await, Received::End);
    drop(peer);
    server.await.unwrap().unwrap();
}
