//! The files of a page that are built into the program.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::wire::{Code, Problem};

/// Only this server's own files, and no embedding in pages of other sites.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A router that serves these files: names, and contents by [`include_bytes!`]. `index.html` is
/// the page at `/`. What is not among them is answered 404, with a problem.
///
/// The page may load only what this server has, and no other site may embed it. Browsers
/// ask at each load whether a file is still the same, so that they have a new build at once.
///
/// # Panics
///
/// Panics if two files have the same name, or if a name has an extension whose media type
/// is not known here: `html`, `css`, `js`, `json`, `svg`, `png`, `woff2`, `ico` and `txt` are.
///
/// # Examples
///
/// ```
/// let page = downlink_transports::assets::router(&[
///     ("index.html", b"<!doctype html><script type=module src=app.js></script>"),
///     ("app.js", b"console.log('hello')"),
/// ]);
/// # let _: axum::Router = page;
/// ```
pub fn router(files: &[(&'static str, &'static [u8])]) -> Router {
    let router = Router::new().fallback(not_found);
    files.iter().fold(router, |router, &(name, content)| {
        let kind = media_type(name);
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        router.route(&path, get(async move || file(kind, content)))
    })
}

fn file(kind: &'static str, content: &'static [u8]) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content)
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "there is no such file: the page is at /")
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => panic!("the media type of '{name}' is not known"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::response::Response;
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str) -> Response {
        let page = router(&[("index.html", b"<p>"), ("app.js", b"1")]);
        page.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn files_are_served_by_name_with_a_policy() {
        for (path, kind, content) in [
            ("/", "text/html; charset=utf-8", "<p>"),
            ("/app.js", "text/javascript; charset=utf-8", "1"),
        ] {
            let response = get(path).await;
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), content);
        }
    }

    #[tokio::test]
    async fn other_names_are_not_found() {
        for path in ["/index.html", "/app.css", "/app.js/"] {
            let response = get(path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }

    #[test]
    #[should_panic(expected = "the media type of 'notes.md' is not known")]
    fn a_file_of_an_unknown_type_is_an_error_of_the_program() {
        let _ = router(&[("notes.md", b"")]);
    }
}
