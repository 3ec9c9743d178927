use axum::handler::Handler;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use http::StatusCode;
use http::header::ALLOW;

use crate::headers;
use crate::wire::{Code, Problem};

const METHODS: &str = "GET, HEAD, OPTIONS";

/// A `GET` as the wire contract has it, for a route beside the feed: with the
/// headers that every answer has, `OPTIONS` told what the methods are, and any
/// other method refused by a problem.
///
/// It checks neither hosts nor origins; [`Feed::guard`](crate::feed::Feed::guard)
/// does.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use downlink_transports::ops;
///
/// let app: Router = Router::new().route("/", ops::get(async || "departures"));
/// ```
pub fn get<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    routing::get(handler)
        .options(async || (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]))
        .fallback(async || {
            let detail = format!("the methods here are {METHODS}");
            Problem::new(Code::MethodNotAllowed, detail).with_allow(METHODS)
        })
        .layer(map_response(async |mut response: Response| {
            headers::fix(response.headers_mut());
            response
        }))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Method, Request};
    use tower::ServiceExt;

    use super::super::router;

    #[tokio::test]
    async fn every_answer_is_that_of_the_contract() {
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
                // No `Host`: it is not asked for here.
                let request = Request::builder().method(&method).uri(path).body(Body::empty());
                let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
                assert_eq!(answer.status(), status, "{method} {path}");
                let header = |name| answer.headers().get(name).map_or("", |v| v.to_str().unwrap());
                assert_eq!(header("cache-control"), "no-store");
                assert_eq!(header("vary"), "Accept, Origin, Authorization, Cookie");
                assert_eq!(header("x-content-type-options"), "nosniff");
                assert_eq!(header("cross-origin-resource-policy"), "same-origin");
                if status != 200 {
                    assert_eq!(header("allow"), super::METHODS);
                }
                if status == 405 {
                    assert_eq!(header("content-type"), "application/problem+json");
                }
            }
        }
    }
}
