//! A source that has changed since the build is an error.

use std::fs;
use std::panic::catch_unwind;

use downlink_page_files::BuiltFiles;

#[test]
fn the_bundle_is_built_from_its_sources() {
    BuiltFiles::new("../typescript/bundle/sources.json", "../typescript")
        .check("npm --prefix transports/typescript run bundle");
}

#[test]
fn a_changed_source_is_an_error_that_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, source) = (folder.path().join("sources.json"), folder.path().join("a.ts"));
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    fs::write(&manifest, format!("{{\"a.ts\":\"{sha}\"}}")).unwrap();
    fs::write(&source, "abc").unwrap();
    let check = || BuiltFiles::new(&manifest, folder.path()).check("npm run build");
    check();
    for change in [Some("abd"), None] {
        match change {
            Some(text) => fs::write(&source, text).unwrap(),
            None => fs::remove_file(&source).unwrap(),
        }
        let message: String = *catch_unwind(check).unwrap_err().downcast().unwrap();
        assert!(message.contains("a.ts") && message.contains("npm run build"), "{message}");
    }
}
