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
const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("../assets/index.html")),
    ("/style.css", CSS, include_str!("../assets/style.css")),
    ("/favicon.svg", SVG, include_str!("../assets/favicon.svg")),
    ("/app.js", JS, include_str!("../assets/app.js")),
    ("/connection-panel.js", JS, include_str!("../assets/connection-panel.js")),
    ("/people.js", JS, include_str!("../assets/people.js")),
    ("/room.js", JS, include_str!("../assets/room.js")),
    ("/rooms.js", JS, include_str!("../assets/rooms.js")),
    ("/connection.js", JS, include_str!("../assets/connection.js")),
    ("/downlink.js", JS, include_str!("../../../transports/typescript/bundle/downlink.js")),
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
        let mut served = BTreeSet::from(served.map(str::to_owned));
        served.remove("downlink.js");
        assert_eq!(files, served);
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
