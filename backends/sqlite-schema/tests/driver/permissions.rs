//! Whose the files of a log are, and who may open them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::support::driver::{self, Options};
use crate::support::{Place, chain, stored};
use downlink::ErrorKind;

const BESIDE: [&str; 4] = ["-wal", "-shm", "-gate", "-turn"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn the_files_of_a_new_log_are_their_owners_alone_or_as_it_is_said() {
    for (options, expected) in
        [(Options::new(), 0o600), (Options::new().with_file_mode(0o660), 0o660)]
    {
        let place = Place::new();
        let store = options.open(&place.path).await.unwrap();
        stored(&store, "s", 1).await;
        let backup = place.folder.path().join("backup.db");
        store.backup(&backup).await.unwrap();
        for path in BESIDE.map(|end| place.with_end(end)).iter().chain([&place.path, &backup]) {
            assert_eq!(mode(path), expected, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_file_that_a_link_names_is_made_with_the_mode_too() {
    let place = Place::new();
    let real = place.folder.path().join("real.db");
    std::os::unix::fs::symlink("real.db", &place.path).unwrap();
    let store = place.open().await;
    stored(&store, "s", 1).await;
    assert_eq!(mode(&real), 0o600);
}

#[tokio::test]
async fn the_files_beside_a_database_follow_its_owner_and_mode() {
    let place = Place::new();
    place.open().await.close().await;
    fs::set_permissions(&place.path, Permissions::from_mode(0o640)).unwrap();
    // `-gate` is there, as an earlier run of another user leaves it, and `-turn` is not.
    fs::remove_file(place.with_end("-turn")).unwrap();
    let is_root = chown(&place.path, Some(4_711), Some(4_712)).is_ok();
    if !is_root {
        eprintln!("not root: only modes are looked at");
    }
    let store = place.open().await;
    stored(&store, "s", 1).await;
    let backup = place.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    for path in BESIDE.map(|end| place.with_end(end)).iter().chain([&backup]) {
        assert_eq!(mode(path), 0o640, "{}", path.display());
        assert_eq!(owner(path), owner(&place.path), "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_beside_it_that_cannot_be_opened_is_named_with_its_owner() {
    for end in ["-gate", "-turn"] {
        let place = Place::new();
        place.open().await.close().await;
        fs::remove_file(place.with_end(end)).unwrap();
        // Also root cannot write to it.
        fs::create_dir(place.with_end(end)).unwrap();
        let error = driver::open(&place.path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
        let whose = format!("it belongs to user {}", owner(&place.with_end(end)).0);
        for part in [&format!("flights.db{end}"), &whose, "remove it"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
