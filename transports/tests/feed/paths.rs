//! Paths that are not served, or do not mean what they say.

use axum::Router;
use axum::routing::any;
use downlink_transports::feed::{self, Feed};
use http::Method;

use crate::support::{App, empty, from_here, get, hub, put, request};

#[tokio::test]
async fn unknown_paths_are_problems_in_nested_routers_too() {
    let hub = hub().await;
    let outer = Router::new()
        .nest("/api", feed::router(&hub))
        .fallback(|| async { "the application's own" });
    let app = |path: &'static str| {
        let outer = outer.clone();
        async move {
            let request = from_here(empty(get(path)));
            let response = tower::ServiceExt::oneshot(outer, request).await.unwrap();
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
async fn a_slash_in_the_name_of_a_stream_is_percent_encoded() {
    let hub = hub().await;
    put(&hub, "a/b c", "T").await;
    for (app, prefix) in [(App::new(&hub), ""), (App::new(&hub).nested("/api"), "/api")] {
        let answer = app.get(&format!("{prefix}/streams/a/b%20c")).await;
        let problem = answer.problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("/streams/a%2Fb%20c"), "{detail}");
        let (_, advised) = detail.rsplit_once(' ').unwrap();
        assert_eq!(app.get(&format!("{prefix}{advised}")).await.json()["stream"], "a/b c");
        let posted = app.post(&format!("{prefix}/streams/a/b"), r#"{"type":"T","data":1}"#).await;
        assert!(posted.problem(404, "not-found")["detail"].as_str().unwrap().contains("%2F"));
        for other in ["/streams/a/", "/streams", "/stream/a/b"] {
            let problem = app.get(&format!("{prefix}{other}")).await.problem(404, "not-found");
            assert!(problem["detail"].as_str().unwrap().contains("the paths are"), "{problem}");
        }
    }
}

#[tokio::test]
async fn segments_of_dots_are_refused() {
    let hub = hub().await;
    let body = r#"{"type":"T","data":1}"#;
    for (app, prefix) in [(App::new(&hub), ""), (App::new(&hub).nested("/api"), "/api")] {
        for dots in [".", "..", "%2e", "%2E", "%2e%2E", ".%2e", "%2E."] {
            for (path, code) in [
                (format!("/streams/{dots}"), "bad-stream"),
                (format!("/streams/{dots}/c"), "invalid"),
                (format!("/streams/a/{dots}/c"), "invalid"),
                (format!("/{dots}/feed"), "invalid"),
                (format!("/feed/{dots}"), "invalid"),
            ] {
                let path = format!("{prefix}{path}");
                let read = app.get(&path).await.problem(400, code);
                assert!(read["detail"].as_str().unwrap().contains("segment '.' or '..'"), "{read}");
                app.post(&path, body).await.problem(400, code);
            }
        }
    }
    assert_eq!(hub.head().await.unwrap(), downlink::Cursor::START);
    // Also before the routes of the feed.
    let tenants = App::new(&hub).nested("/tenants/{tenant}");
    assert_eq!(tenants.get("/tenants/a/feed").await.status, 200);
    tenants.get("/tenants/%2e%2e/feed").await.problem(400, "invalid");
    // These are names like any other.
    let app = App::new(&hub);
    for name in ["...", "a.", ".a", "a%2F..%2Fc", "%252e%252e", "..%2Fc"] {
        let path = format!("/streams/{name}");
        assert_eq!(app.post(&path, body).await.status, 201, "{name}");
        assert_eq!(app.get(&path).await.json()["version"], 1, "{name}");
    }
    app.get("/streams/c").await.problem(404, "stream-not-found");
}

#[tokio::test]
async fn guard_refuses_segments_of_dots() {
    let hub = hub().await;
    let own = Router::new().route("/files/{*name}", any(async || "done"));
    let nested = Router::new().nest("/own", own.clone());
    for (app, prefix) in [(own, ""), (nested, "/own")] {
        let app = Feed::new(&hub).guard(app);
        let ask = |method: Method, path: &str| {
            let request = empty(request(method, &format!("{prefix}/files/{path}")));
            let response = tower::ServiceExt::oneshot(app.clone(), from_here(request));
            async move { response.await.unwrap().status().as_u16() }
        };
        assert_eq!(ask(Method::GET, "a/b..c/d").await, 200);
        for path in ["..", "a/../b", "a/%2e%2E/b", "./a"] {
            assert_eq!(ask(Method::GET, path).await, 400, "{path}");
            assert_eq!(ask(Method::POST, path).await, 400, "{path}");
        }
    }
}
