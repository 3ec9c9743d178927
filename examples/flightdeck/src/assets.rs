use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing but this server's own files, and no frame of others around them.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every file of the page, built into the program: its path, type and text.
const FILES: [(&str, &str, &str); 22] = [
    ("/", HTML, include_str!("../assets/index.html")),
    ("/style.css", CSS, include_str!("../assets/style.css")),
    ("/favicon.svg", SVG, include_str!("../assets/favicon.svg")),
    ("/airlines.js", JS, include_str!("../assets/airlines.js")),
    ("/app.js", JS, include_str!("../assets/app.js")),
    ("/board.js", JS, include_str!("../assets/board.js")),
    ("/clock.js", JS, include_str!("../assets/clock.js")),
    ("/controls.js", JS, include_str!("../assets/controls.js")),
    ("/desk.js", JS, include_str!("../assets/desk.js")),
    ("/feed.js", JS, include_str!("../assets/feed.js")),
    ("/flap.js", JS, include_str!("../assets/flap.js")),
    ("/flights.js", JS, include_str!("../assets/flights.js")),
    ("/ledger.js", JS, include_str!("../assets/ledger.js")),
    ("/link.js", JS, include_str!("../assets/link.js")),
    ("/log.js", JS, include_str!("../assets/log.js")),
    ("/long-poll.js", JS, include_str!("../assets/long-poll.js")),
    ("/numbers.js", JS, include_str!("../assets/numbers.js")),
    ("/page.js", JS, include_str!("../assets/page.js")),
    ("/post.js", JS, include_str!("../assets/post.js")),
    ("/readable.js", JS, include_str!("../assets/readable.js")),
    ("/sse.js", JS, include_str!("../assets/sse.js")),
    ("/websocket.js", JS, include_str!("../assets/websocket.js")),
];

/// The page: no build step, no Node, no other host.
pub(crate) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || file(kind, text)))
    })
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        // A new build is a new page, at the next look.
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
    fn every_file_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let files: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        let served = FILES.map(|(path, ..)| if path == "/" { "index.html" } else { &path[1..] });
        assert_eq!(files, served.map(str::to_owned).into());
    }

    #[test]
    fn the_page_names_no_other_host() {
        for (path, _, text) in FILES {
            let elsewhere =
                text.matches("://").count() - text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(elsewhere, 0, "{path} names another host");
        }
    }
}
