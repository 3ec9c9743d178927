//! Routers within applications that have a state.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use downlink_transports::feed::{self, Feed};
use downlink_transports::health;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::support::{empty, from_here, hub};

#[derive(Clone)]
struct Airport(&'static str);

async fn name(State(airport): State<Airport>) -> &'static str {
    airport.0
}

#[tokio::test]
async fn every_router_nests_in_an_application_with_state() {
    let hub = hub().await;
    let feed = Feed::new(&hub);
    let guarded = feed.guard(Router::new().route("/guarded", get(name)));
    let app = Router::new()
        .route("/airport", get(name))
        .merge(guarded)
        .nest("/api", feed.router())
        .nest("/defaults", feed::router(&hub))
        .merge(health::router(&hub))
        .with_state(Airport("EWR"));
    for (path, part) in [
        ("/airport", "EWR"),
        ("/guarded", "EWR"),
        ("/api/feed", r#"{"events":[]"#),
        ("/defaults/feed", r#"{"events":[]"#),
        ("/health/ready", "ready"),
    ] {
        let request = from_here(empty(crate::support::get(path)));
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(str::from_utf8(&body).unwrap().contains(part), "{path}: {body:?}");
    }
}
