//! Health checks for operators and orchestrators: liveness and readiness.
//!
//! A router of its own, so that an application can serve it on another listener.

mod openapi;
mod probes;

use axum::Router;
use downlink::Hub;

use crate::feed::get;

/// `GET /health/live`, `GET /health/ready` and `GET /openapi.json`.
///
/// - `live` returns 200 as long as the process answers at all. It checks nothing
///   else, because a restart does not repair a store.
/// - `ready` returns 200 if the store answers within two seconds. It returns 503
///   with a problem if the store does not answer, if the log cannot be read for
///   subscriptions, if a transaction of the application has held up every append
///   past its deadline, if the hub was shut down, or if the server drains.
/// - `openapi.json` describes the routes of the feed.
///
/// These routes accept every `Host`, because orchestrators send requests to an
/// address, and they reveal nothing of the log.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink_transports::{feed, health};
///
/// let hub = downlink::memory::hub().await?;
/// let app: axum::Router =
///     axum::Router::new().nest("/api", feed::router(&hub)).merge(health::router(&hub));
/// # Ok(()) }
/// ```
pub fn router<S>(hub: &Hub) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/health/live", get(probes::live))
        .route("/health/ready", get(probes::ready))
        .route("/openapi.json", get(openapi::document))
        .with_state(hub.clone())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Method, Request};
    use tower::ServiceExt;

    use super::router;

    #[tokio::test]
    async fn every_response_follows_the_wire_contract() {
        let hub = downlink::memory::hub().await.unwrap();
        let app = router(&hub);
        for path in ["/health/live", "/health/ready", "/openapi.json"] {
            for (method, status) in [
                (Method::GET, 200),
                (Method::HEAD, 200),
                (Method::OPTIONS, 204),
                (Method::POST, 405),
                (Method::TRACE, 405),
            ] {
                // Without `Host`, which these routes do not check.
                let request = Request::builder().method(&method).uri(path).body(Body::empty());
                let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
                assert_eq!(answer.status(), status, "{method} {path}");
                let header = |name| answer.headers().get(name).map_or("", |v| v.to_str().unwrap());
                assert_eq!(header("cache-control"), "no-store");
                assert_eq!(header("vary"), "Accept, Origin, Authorization, Cookie");
                assert_eq!(header("x-content-type-options"), "nosniff");
                assert_eq!(header("cross-origin-resource-policy"), "same-origin");
                if status != 200 {
                    assert_eq!(header("allow"), "GET, HEAD, OPTIONS");
                }
                if status == 405 {
                    assert_eq!(header("content-type"), "application/problem+json");
                }
            }
        }
    }
}
