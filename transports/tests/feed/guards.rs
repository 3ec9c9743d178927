//! Hosts, origins, methods and paths.

use axum::Router;
use axum::extract::ConnectInfo;
use downlink_transports::feed::{Feed, Refusal, Rights};
use downlink_transports::{Access, Connection, feed};
use http::request::Parts;
use http::{Method, Request};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, App, empty, get, hub, post, request};

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
    for host in ["localhost:", "localhost.", "localhost.:3000", "[::1]:"] {
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

async fn append(app: &App, headers: &[(&str, &str)]) -> Answer {
    let builder = headers
        .iter()
        .fold(post("/streams/s"), |builder, (name, value)| builder.header(*name, *value));
    app.ask(builder.body(r#"{"type":"T","data":1}"#.into()).unwrap()).await
}

#[tokio::test]
async fn appends_come_from_own_pages_and_listed_origins() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_append().with_origins(["https://app.example"]));
    for good in [
        &[][..],
        &[("origin", "http://localhost:3000")],
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://app.example")],
        &[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(append(&app, good).await.status, 201, "{good:?}");
    }
    for bad in [
        &[("origin", "null")][..],
        &[("origin", "http://evil.test")],
        &[("origin", "http://localhost:3001")],
        &[("origin", "http://localhost")],
        &[("origin", "http://app.example")],
        &[("origin", "https://app.example:8443")],
        &[("origin", "garbage")],
        &[("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://app.example"), ("origin", "http://evil.test")],
    ] {
        append(&app, bad).await.problem(403, "origin-not-allowed");
    }
}

#[tokio::test]
async fn a_get_is_checked_when_a_cookie_authenticates() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_authorizer(everything));
    let ask = |headers: Vec<(&'static str, &'static str)>| {
        let builder = headers
            .into_iter()
            .fold(get("/feed"), |builder, (name, value)| builder.header(name, value));
        app.ask(empty(builder))
    };
    assert_eq!(ask(vec![]).await.status, 200);
    assert_eq!(ask(vec![("origin", "http://evil.test")]).await.status, 200);
    let cookie = ("cookie", "session=1");
    ask(vec![cookie]).await.problem(403, "origin-not-allowed");
    ask(vec![cookie, ("origin", "http://evil.test")]).await.problem(403, "origin-not-allowed");
    ask(vec![cookie, ("sec-fetch-site", "cross-site")]).await.problem(403, "origin-not-allowed");
    assert_eq!(ask(vec![cookie, ("origin", "http://localhost:3000")]).await.status, 200);
    assert_eq!(ask(vec![cookie, ("sec-fetch-site", "same-origin")]).await.status, 200);
    assert_eq!(ask(vec![cookie, ("authorization", "Bearer x")]).await.status, 200);
    let open = App::new(&hub);
    assert_eq!(open.ask(empty(get("/feed").header("cookie", "a=b"))).await.status, 200);
}

#[tokio::test]
async fn cors_is_off_by_default() {
    let hub = hub().await;
    let origins = ["https://app.example"];
    let off = App::of(Feed::new(&hub).with_origins(origins));
    let asked = || get("/feed").header("origin", "https://app.example");
    let answer = off.ask(empty(asked())).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");

    let on = App::of(Feed::new(&hub).with_origins(origins).with_cors());
    let answer = on.ask(empty(asked())).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-expose-headers"), "Feed-Cursor, Retry-After");
    assert_eq!(answer.header("cross-origin-resource-policy"), "");
    let refused = on.ask(empty(get("/feed?x=1").header("origin", "https://app.example"))).await;
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example");
    let stranger = on.ask(empty(get("/feed").header("origin", "https://evil.test"))).await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    let preflight = request(Method::OPTIONS, "/feed")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET");
    let answer = on.ask(empty(preflight)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "Authorization, Last-Event-ID, Content-Type, Feed-Client"
    );
    assert!(answer.header("access-control-allow-methods").contains("POST"));
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
async fn unknown_paths_are_problems_in_nested_routers_too() {
    let hub = hub().await;
    let outer = Router::new()
        .nest("/api", feed::router(&hub))
        .fallback(|| async { "the application's own" });
    let app = |path: &'static str| {
        let outer = outer.clone();
        async move {
            let response = tower::ServiceExt::oneshot(outer, empty(get(path))).await.unwrap();
            response.status().as_u16()
        }
    };
    assert_eq!(app("/elsewhere").await, 200);
    assert_eq!(app("/api/feed").await, 200);
    assert_eq!(app("/api/nothing").await, 404);
    assert_eq!(app("/api/feed/wss").await, 404);
    let nested = App::new(&hub).nested("/api");
    for path in ["/api/nothing", "/api/feed/wss", "/api/feed/", "/api/streams"] {
        let answer = nested.get(path).await;
        answer.problem(404, "not-found");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("vary"), "Accept, Origin, Authorization, Cookie");
    }
}

#[tokio::test]
async fn guard_checks_routes_of_the_application() {
    let hub = hub().await;
    let feed = Feed::new(&hub);
    let route = axum::routing::any(async || "done");
    let own = Router::new().route("/command", route);
    let app = feed.guard(own).nest("/api", feed.router());
    let ask = |request: http::request::Builder| {
        let app = app.clone();
        async move { tower::ServiceExt::oneshot(app, empty(request)).await.unwrap().status().as_u16() }
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
