/// The files of the page, built into the program.
pub(crate) const FILES: [(&str, &[u8]); 10] = [
    ("index.html", include_bytes!("../assets/index.html")),
    ("style.css", include_bytes!("../assets/style.css")),
    ("favicon.svg", include_bytes!("../assets/favicon.svg")),
    ("app.js", include_bytes!("../assets/app.js")),
    ("connection-panel.js", include_bytes!("../assets/connection-panel.js")),
    ("people.js", include_bytes!("../assets/people.js")),
    ("room.js", include_bytes!("../assets/room.js")),
    ("rooms.js", include_bytes!("../assets/rooms.js")),
    ("connection.js", include_bytes!("../assets/connection.js")),
    ("downlink.js", include_bytes!("../../../transports/typescript/bundle/downlink.js")),
];

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
        let mut served = BTreeSet::from(FILES.map(|(name, _)| name.to_owned()));
        served.remove("downlink.js");
        assert_eq!(files, served);
    }

    #[test]
    fn the_page_refers_to_no_other_host() {
        for (path, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            let elsewhere =
                text.matches("://").count() - text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(elsewhere, 0, "{path} refers to another host");
        }
    }
}
