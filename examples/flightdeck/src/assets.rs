/// The page as `npm run build` in `page/` has built it.
pub(crate) const FILES: [(&str, &[u8]); 4] = [
    ("index.html", include_bytes!("../assets/index.html")),
    ("page.css", include_bytes!("../assets/page.css")),
    ("page.js", include_bytes!("../assets/page.js")),
    ("favicon.svg", include_bytes!("../assets/favicon.svg")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use downlink_page_files::BuiltFiles;

    use super::*;

    #[test]
    fn every_built_file_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        assert!(files.remove("sources.json"));
        assert_eq!(files, FILES.map(|(name, _)| name.to_owned()).into());
    }

    #[test]
    fn the_page_loads_nothing_from_another_host() {
        for (name, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            for reference in
                ["src=\"http", "href=\"http", "url(http", "url(\"http", "import(\"http"]
            {
                assert!(!text.contains(reference), "{name} refers to another host");
            }
        }
    }

    #[test]
    fn the_page_is_built_from_its_sources() {
        BuiltFiles::new("assets/sources.json", "../..")
            .check("npm --prefix examples/flightdeck/page run build");
    }
}
