use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::get;

/// Only this server's own files, and no embedding in pages of other sites.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The files of the page, built into the program: path, type and content.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html", include_str!("../assets/index.html")),
    ("/style.css", "text/css", include_str!("../assets/style.css")),
    ("/favicon.svg", "image/svg+xml", include_str!("../assets/favicon.svg")),
    ("/app.js", "text/javascript", include_str!("../assets/app.js")),
    ("/api.js", "text/javascript", include_str!("../assets/api.js")),
    ("/dashboard.js", "text/javascript", include_str!("../assets/dashboard.js")),
    (
        "/downlink.js",
        "text/javascript",
        include_str!("../../../transports/typescript/bundle/downlink.js"),
    ),
    ("/orders.js", "text/javascript", include_str!("../assets/orders.js")),
];

/// Serves the page, which needs no build step.
pub(crate) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let headers = [
            (CONTENT_TYPE, kind),
            // The browser revalidates, so that it loads a new build at once.
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        router.route(path, get(async move || (headers, text)))
    })
}
