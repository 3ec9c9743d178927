//! CORS headers for the server's own responses, which no layer of the router sees.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use hyper::upgrade::OnUpgrade;
use tokio::sync::Semaphore;
use tower::Service;

use crate::headers::CROSS_ORIGIN_RESOURCE_POLICY;

/// How long the router may take to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// How many requests beyond a limit the router is asked about at a time. Others go
/// without the headers, because it is the limit that is to be kept.
static QUESTIONS: Semaphore = Semaphore::const_new(8);

/// Asks the router which pages may read the response to a request, as a browser does
/// with a preflight. Empty if the router does not answer in time, or is asked too often.
pub(super) async fn preflight(router: &Router, request: Parts) -> HeaderMap {
    let Ok(_question) = QUESTIONS.try_acquire() else { return HeaderMap::new() };
    let mut preflight = Request::new(Body::empty());
    *preflight.method_mut() = Method::OPTIONS;
    *preflight.uri_mut() = request.uri;
    *preflight.extensions_mut() = request.extensions;
    preflight.extensions_mut().remove::<OnUpgrade>();
    let headers = preflight.headers_mut();
    let copied = [HOST, ORIGIN].into_iter().filter_map(|name| {
        let value = request.headers.get(&name)?.clone();
        Some((name, value))
    });
    headers.extend(copied);
    let method = HeaderValue::from_str(request.method.as_str());
    headers.insert(ACCESS_CONTROL_REQUEST_METHOD, method.expect("a method is a valid value"));
    match tokio::time::timeout(DEADLINE, router.clone().call(preflight)).await {
        Ok(Ok(response)) => response.into_parts().0.headers,
        Err(_) => HeaderMap::new(),
    }
}

/// Lets the pages that may read one response read another.
pub(super) fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    let Some(origin) = from.get(ACCESS_CONTROL_ALLOW_ORIGIN) else { return };
    to.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if let Some(credentials) = from.get(ACCESS_CONTROL_ALLOW_CREDENTIALS) {
        to.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials.clone());
    }
    to.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER.into());
    to.remove(CROSS_ORIGIN_RESOURCE_POLICY);
}
