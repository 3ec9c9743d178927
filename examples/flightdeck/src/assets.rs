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

/// The page as `npm run build` in `page/` has built it: path, type and content.
const FILES: [(&str, &str, &str); 4] = [
    ("/", HTML, include_str!("../assets/index.html")),
    ("/page.css", CSS, include_str!("../assets/page.css")),
    ("/page.js", JS, include_str!("../assets/page.js")),
    ("/favicon.svg", SVG, include_str!("../assets/favicon.svg")),
];

/// Serves the page, which is built into the program. It needs no Node and no other host.
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
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use sha2::{Digest, Sha256};

    use super::*;

    const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    const SOURCES: &str = "examples/flightdeck/page/src";

    #[test]
    fn every_built_file_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        assert!(files.remove("sources.json"));
        let served = FILES.map(|(path, ..)| if path == "/" { "index.html" } else { &path[1..] });
        assert_eq!(files, served.map(str::to_owned).into());
    }

    #[test]
    fn the_page_loads_nothing_from_another_host() {
        for (path, _, text) in FILES {
            for reference in ["src=\"http", "href=\"http", "url(http", "url(\"http", "import(\"http"] {
                assert!(!text.contains(reference), "{path} refers to another host");
            }
        }
    }

    #[test]
    fn the_page_is_built_from_its_sources() {
        let manifest = include_str!("../assets/sources.json");
        let built: BTreeMap<String, String> = serde_json::from_str(manifest).unwrap();
        let known = built.keys().cloned();
        let stale: BTreeSet<String> = known
            .chain(files_in(Path::new(SOURCES)))
            .filter(|path| built.get(path) != hash(path).as_ref())
            .collect();
        assert!(
            stale.is_empty(),
            "the page in examples/flightdeck/assets was not built from these files: {stale:?}. \
             Run `npm --prefix examples/flightdeck/page run build`, and commit the result"
        );
    }

    fn hash(path: &str) -> Option<String> {
        let content = fs::read(Path::new(REPOSITORY).join(path)).ok()?;
        Some(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The files in a folder of the repository.
    fn files_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(Path::new(REPOSITORY).join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().file_name());
        paths.map(|name| folder.join(name)).flat_map(|path| files_at(&path)).collect()
    }

    fn files_at(path: &PathBuf) -> Vec<String> {
        if Path::new(REPOSITORY).join(path).is_dir() {
            return files_in(path);
        }
        vec![path.to_str().unwrap().to_owned()]
    }
}
