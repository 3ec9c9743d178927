use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// Only this server's own files, and no embedding in pages of other sites.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files of the page, built into the program: path, type and content.
const FILES: [(&str, &str, &str); 24] = [
    ("/", HTML, include_str!("../assets/index.html")),
    ("/style.css", CSS, include_str!("../assets/style.css")),
    ("/favicon.svg", SVG, include_str!("../assets/favicon.svg")),
    ("/airlines.js", JS, include_str!("../assets/airlines.js")),
    ("/app.js", JS, include_str!("../assets/app.js")),
    ("/board.js", JS, include_str!("../assets/board.js")),
    ("/clock.js", JS, include_str!("../assets/clock.js")),
    ("/connection-panel.js", JS, include_str!("../assets/connection-panel.js")),
    ("/controls.js", JS, include_str!("../assets/controls.js")),
    ("/feed-check.js", JS, include_str!("../assets/feed-check.js")),
    ("/feed.js", JS, include_str!("../assets/feed.js")),
    ("/flaps.js", JS, include_str!("../assets/flaps.js")),
    ("/flight-dialog.js", JS, include_str!("../assets/flight-dialog.js")),
    ("/flights.js", JS, include_str!("../assets/flights.js")),
    ("/live-query.js", JS, include_str!("../assets/live-query.js")),
    ("/live-rows.js", JS, include_str!("../assets/live-rows.js")),
    ("/log.js", JS, include_str!("../assets/log.js")),
    ("/long-poll.js", JS, include_str!("../assets/long-poll.js")),
    ("/page.js", JS, include_str!("../assets/page.js")),
    ("/post.js", JS, include_str!("../assets/post.js")),
    ("/readable.js", JS, include_str!("../assets/readable.js")),
    ("/sse.js", JS, include_str!("../assets/sse.js")),
    ("/statistics.js", JS, include_str!("../assets/statistics.js")),
    ("/websocket.js", JS, include_str!("../assets/websocket.js")),
];

/// Serves the page. It needs no build step, no Node and no other host.
pub(crate) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || file(kind, text)))
    })
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        // The browser revalidates, so that it loads a new build at once.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_file_in_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let files: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        let served = FILES.map(|(path, ..)| if path == "/" { "index.html" } else { &path[1..] });
        assert_eq!(files, served.map(str::to_owned).into());
    }

    #[test]
    fn the_page_refers_to_no_other_host() {
        for (path, _, text) in FILES {
            let elsewhere =
                text.matches("://").count() - text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(elsewhere, 0, "{path} refers to another host");
        }
    }
}
