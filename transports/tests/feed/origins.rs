//! Origins, other sites, cookies and CORS.

use axum::Router;
use axum::routing::any;
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::request::Parts;
use http::{Method, request};

use crate::support::{Answer, App, empty, from_here, get, hub, post, request};

async fn everything(_: &Parts) -> Result<Rights, Refusal> {
    Ok(Rights::everything())
}

fn with(builder: request::Builder, headers: &[(&str, &str)]) -> request::Builder {
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value))
}

async fn append(app: &App, headers: &[(&str, &str)]) -> Answer {
    let builder = with(post("/streams/s"), headers);
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

const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
const NAVIGATION: [(&str, &str); 3] =
    [CROSS_SITE, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
const LISTED: (&str, &str) = ("origin", "https://app.example");

#[tokio::test]
async fn what_other_sites_send_is_refused_on_every_route() {
    let hub = hub().await;
    let feed = || Feed::new(&hub).with_append().with_origins(["https://app.example"]);
    for feed in [feed(), feed().with_public_access(), feed().with_authorizer(everything)] {
        let app = App::of(feed);
        for (method, path) in [
            (Method::GET, "/feed?wait=1"),
            (Method::HEAD, "/feed"),
            (Method::GET, "/streams/s"),
            (Method::POST, "/streams/s"),
            (Method::GET, "/nothing"),
            (Method::PUT, "/feed"),
            #[cfg(feature = "websocket")]
            (Method::GET, "/feed/ws"),
        ] {
            for foreign in [
                &[CROSS_SITE][..],
                &[("sec-fetch-site", "same-origin"), CROSS_SITE],
                &[CROSS_SITE, ("origin", "http://evil.test")],
                &[CROSS_SITE, ("origin", "null")],
                &[CROSS_SITE, ("origin", "http://localhost:3000")],
                &[CROSS_SITE, LISTED, ("origin", "http://evil.test")],
                &[CROSS_SITE, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
                &[CROSS_SITE, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
                &[CROSS_SITE, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "document")],
                &[CROSS_SITE, ("referer", "http://localhost:3000/")],
            ] {
                let answer = app.ask(empty(with(request(method.clone(), path), foreign))).await;
                assert_eq!(answer.status, 403, "{method} {path} {foreign:?}: {answer:?}");
                if method != Method::HEAD {
                    answer.problem(403, "origin-not-allowed");
                }
            }
            let own = app.ask(empty(with(request(method, path), &[CROSS_SITE, LISTED]))).await;
            assert_ne!(own.status, 403, "{path}");
        }
        for friendly in [
            &[][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[CROSS_SITE, LISTED],
            &NAVIGATION,
        ] {
            let answer = app.ask(empty(with(get("/feed"), friendly))).await;
            assert_eq!(answer.status, 200, "{friendly:?}: {answer:?}");
        }
        // A form of another site.
        append(&app, &NAVIGATION).await.problem(403, "origin-not-allowed");
        // Preflights have no effect, and are answered alike for everyone.
        for origin in [LISTED, ("origin", "http://evil.test")] {
            let preflight = with(request(Method::OPTIONS, "/streams/s"), &[CROSS_SITE, origin]);
            let preflight = preflight.header("access-control-request-method", "POST");
            assert_eq!(app.ask(empty(preflight)).await.status, 204, "{origin:?}");
        }
    }
}

#[tokio::test]
async fn guard_refuses_what_other_sites_send() {
    let hub = hub().await;
    for feed in [Feed::new(&hub), Feed::new(&hub).with_authorizer(everything)] {
        let feed = feed.with_origins(["https://app.example"]);
        let own = Router::new().route("/board", any(async || "done"));
        let app = feed.guard(own);
        let ask = |method: Method, headers: &[(&str, &str)]| {
            let request = empty(with(request(method, "/board"), headers));
            let response = tower::ServiceExt::oneshot(app.clone(), from_here(request));
            async move { response.await.unwrap().status().as_u16() }
        };
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
            assert_eq!(ask(method.clone(), &[CROSS_SITE]).await, 403, "{method}");
            let foreign = [CROSS_SITE, ("origin", "http://evil.test")];
            assert_eq!(ask(method.clone(), &foreign).await, 403, "{method}");
            assert_eq!(ask(method.clone(), &[CROSS_SITE, LISTED]).await, 200, "{method}");
            assert_eq!(ask(method, &[("sec-fetch-site", "same-origin")]).await, 200);
        }
        // Links work, also for a user who is logged in; forms and frames do not.
        let with_cookie = [&NAVIGATION[..], &[("cookie", "session=1")]].concat();
        assert_eq!(ask(Method::GET, &NAVIGATION).await, 200);
        assert_eq!(ask(Method::GET, &with_cookie).await, 200);
        assert_eq!(ask(Method::HEAD, &NAVIGATION).await, 200);
        assert_eq!(ask(Method::POST, &NAVIGATION).await, 403);
        let frame = [CROSS_SITE, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert_eq!(ask(Method::GET, &frame).await, 403);
        let two = [&NAVIGATION[..], &[("sec-fetch-dest", "iframe")]].concat();
        assert_eq!(ask(Method::GET, &two).await, 403);
    }
}

const COOKIE: (&str, &str) = ("cookie", "session=1");

#[tokio::test]
async fn a_get_is_checked_when_a_cookie_authenticates() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_authorizer(everything));
    let ask = |headers: &[(&str, &str)]| app.ask(empty(with(get("/feed"), headers)));
    assert_eq!(ask(&[]).await.status, 200);
    assert_eq!(ask(&[("origin", "http://evil.test")]).await.status, 200);
    for good in [
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("authorization", "Bearer x"),
    ] {
        assert_eq!(ask(&[COOKIE, good]).await.status, 200, "{good:?}");
    }
    for bad in [
        &[("origin", "http://evil.test")][..],
        &[CROSS_SITE],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-site"), ("referer", "http://localhost:3000/")],
        &[("sec-fetch-site", "")],
        // A browser adds these by itself, as it adds the cookie.
        &[("authorization", "Basic dTpw")],
        &[("authorization", "negotiate x")],
        // With a cookie it would tell how much the user may see.
        &NAVIGATION,
    ] {
        let answer = ask(&[&[COOKIE], bad].concat()).await;
        assert_eq!(answer.problem(403, "origin-not-allowed")["status"], 403, "{bad:?}");
    }
    let open = App::new(&hub);
    assert_eq!(open.ask(empty(get("/feed").header("cookie", "a=b"))).await.status, 200);
}

/// Over plain HTTP browsers send neither `Origin` nor `Sec-Fetch-Site` with the `GET` of
/// an `EventSource`, but they send the address of the page.
#[tokio::test]
async fn a_referer_of_the_own_host_shows_that_a_cookie_is_not_abused() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_authorizer(everything));
    let ask = |headers: &[(&str, &str)]| {
        let builder = with(http::Request::builder().uri("/feed"), headers);
        app.ask(empty(builder.header("accept", "text/event-stream")))
    };
    let (host, own) = (("host", "intranet"), ("referer", "http://intranet/board?airport=EWR"));
    let opened =
        app.send(empty(with(get("/feed"), &[COOKIE, ("referer", "http://localhost:3000")])));
    assert_eq!(opened.await.status(), 200);
    for (host, page) in [
        ("intranet", "http://intranet/board?airport=EWR"),
        ("intranet:80", "http://intranet/"),
        ("Intranet.", "http://intranet/"),
        ("10.0.0.7:3000", "http://10.0.0.7:3000/"),
        ("[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000/a#b"),
    ] {
        let builder = http::Request::builder().uri("/feed").header("accept", "text/event-stream");
        let request = with(builder, &[COOKIE, ("host", host), ("referer", page)]);
        assert_eq!(app.send(empty(request)).await.status(), 200, "{host} {page}");
    }
    for bad in [
        &[][..],
        &[("referer", "http://evil.test/")],
        &[("referer", "http://intranet:8080/")],
        &[("referer", "http://intranet.evil.test/")],
        &[("referer", "http://evil.test/?http://intranet/")],
        &[("referer", "http://intranet@evil.test/")],
        &[("referer", "/board")],
        &[("referer", "")],
        &[own, ("referer", "http://evil.test/")],
        &[own, ("origin", "http://evil.test")],
    ] {
        let answer = ask(&[&[COOKIE, host], bad].concat()).await;
        answer.problem(403, "origin-not-allowed");
    }
    let refused = ask(&[COOKIE, host]).await.problem(403, "origin-not-allowed");
    let detail = refused["detail"].as_str().unwrap();
    for word in ["a cookie", "HTTPS", "Referrer-Policy: same-origin", "Authorization: Bearer"] {
        assert!(detail.contains(word), "{detail}");
    }
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
