use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use http::{Request, StatusCode};
    use serde_json::Value;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::connection::Connection;
    use crate::feed::Feed;

    fn json() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn every_reference_resolves() {
        fn walk(value: &Value, root: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(root.pointer(pointer).is_some(), "{reference}");
                    }
                    members.values().for_each(|value| walk(value, root));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, root)),
                _ => {}
            }
        }
        walk(&json(), &json());
    }

    /// Requests each route with each query parameter of the document.
    #[tokio::test]
    async fn the_feed_accepts_everything_that_is_described() {
        let hub = downlink::memory::hub().await.unwrap();
        let app = Feed::new(&hub).with_append().router().merge(super::super::router(&hub));
        let document = json();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let query: Vec<_> = parameters.iter().filter_map(|p| query(p, &document)).collect();
                let uri = format!("{}?{}", path.replace("{stream}", "gate-C71"), query.join("&"));
                let method = method.to_uppercase();
                let request =
                    Request::builder().method(&*method).uri(&uri).header("host", "localhost");
                let here = Connection::new(([127, 0, 0, 1], 9).into(), CancellationToken::new());
                let request = request.extension(here).body(Body::empty()).unwrap();
                let answer = app.clone().oneshot(request).await.unwrap();
                let unknown = [
                    StatusCode::BAD_REQUEST,
                    StatusCode::FORBIDDEN,
                    StatusCode::METHOD_NOT_ALLOWED,
                ];
                assert!(!unknown.contains(&answer.status()), "{method} {uri}: {answer:?}");
            }
        }
    }

    /// `name=value` of a query parameter.
    fn query(parameter: &Value, document: &Value) -> Option<String> {
        let parameter = match parameter["$ref"].as_str() {
            Some(reference) => document.pointer(reference.strip_prefix('#')?)?,
            None => parameter,
        };
        let name = parameter["name"].as_str()?;
        let is_query = parameter["in"] == "query" && name != "heartbeat";
        let value = parameter["example"].as_str().unwrap_or("1");
        is_query.then(|| format!("{name}={value}"))
    }

    #[test]
    fn every_route_of_the_contract_is_described() {
        let paths: BTreeSet<_> = json()["paths"].as_object().unwrap().keys().cloned().collect();
        let expected = ["/feed", "/feed/ws", "/health/live", "/health/ready", "/streams/{stream}"];
        assert_eq!(paths.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}
