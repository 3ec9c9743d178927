//! The owners and modes of the files of a log.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::yield_now;

use downlink::ErrorKind;

use crate::support::driver::{self, Options};
use crate::support::{TempLog, chain, stored};

const SIDECARS: [&str; 4] = ["-wal", "-shm", "-gate", "-turn"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn the_files_of_a_new_log_have_mode_600_or_that_of_the_options() {
    for (options, expected) in
        [(Options::new(), 0o600), (Options::new().with_file_mode(0o660), 0o660)]
    {
        let temp = TempLog::new();
        let store = options.open(&temp.path).await.unwrap();
        stored(&store, "s", 1).await;
        let backup = temp.folder.path().join("backup.db");
        store.backup(&backup).await.unwrap();
        for path in SIDECARS.map(|end| temp.with_end(end)).iter().chain([&temp.path, &backup]) {
            assert_eq!(mode(path), expected, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_file_that_is_created_through_a_link_has_the_mode_too() {
    let temp = TempLog::new();
    let real = temp.folder.path().join("real.db");
    fs::create_dir(temp.folder.path().join("links")).unwrap();
    symlink("links/second", &temp.path).unwrap();
    symlink("third", temp.folder.path().join("links/second")).unwrap();
    symlink("../real.db", temp.folder.path().join("links/third")).unwrap();
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    assert_eq!(mode(&real), 0o600);
}

#[tokio::test]
async fn sidecars_have_the_owner_and_mode_of_the_database() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    fs::set_permissions(&temp.path, Permissions::from_mode(0o640)).unwrap();
    // `-gate` exists, as an earlier run of another user leaves it, and `-turn` does not.
    fs::remove_file(temp.with_end("-turn")).unwrap();
    let is_root = chown(&temp.path, Some(4_711), Some(4_712)).is_ok();
    if !is_root {
        eprintln!("not root: only modes are checked");
    }
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    let backup = temp.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    for path in SIDECARS.map(|end| temp.with_end(end)).iter().chain([&backup]) {
        assert_eq!(mode(path), 0o640, "{}", path.display());
        assert_eq!(owner(path), owner(&temp.path), "{}", path.display());
    }
}

#[tokio::test]
async fn a_sidecar_that_cannot_be_opened_is_reported_with_its_owner() {
    for end in ["-gate", "-turn"] {
        let temp = TempLog::new();
        temp.open().await.close().await;
        fs::remove_file(temp.with_end(end)).unwrap();
        // A folder cannot be opened as a file, not even by root.
        fs::create_dir(temp.with_end(end)).unwrap();
        let error = driver::open(&temp.path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
        let whose = format!("it belongs to user {}", owner(&temp.with_end(end)).0);
        for part in [&format!("flights.db{end}"), &whose, "remove it"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

/// The folder of the log may belong to an untrusted user while the program runs as
/// root: no file is created, opened or given another owner through a link.
#[tokio::test]
async fn a_link_in_the_place_of_a_sidecar_is_refused() {
    type Link = fn(&Path, &Path) -> io::Result<()>;
    let links: [Link; 2] = [|to, at| symlink(to, at), |to, at| fs::hard_link(to, at)];
    for end in ["-gate", "-turn"] {
        for link in links {
            let temp = TempLog::new();
            temp.open().await.close().await;
            fs::set_permissions(&temp.path, Permissions::from_mode(0o666)).unwrap();
            // Only root can set another owner.
            let _ = chown(&temp.path, Some(4_711), Some(4_712));
            let victim = temp.folder.path().join("victim");
            fs::write(&victim, "mine").unwrap();
            fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
            let before = owner(&victim);
            fs::remove_file(temp.with_end(end)).unwrap();
            link(&victim, &temp.with_end(end)).unwrap();
            assert_link_refused(&temp, end).await;
            assert_eq!((mode(&victim), owner(&victim)), (0o600, before));
        }
        let temp = TempLog::new();
        let victim = temp.folder.path().join("victim");
        symlink(&victim, temp.with_end(end)).unwrap();
        assert_link_refused(&temp, end).await;
        assert!(!victim.exists());
    }
}

async fn assert_link_refused(temp: &TempLog, end: &str) {
    let error = driver::open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
    for part in [&*format!("flights.db{end}"), "it is a link", "remove it"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

const AS_ANOTHER_USER: &str = "DOWNLINK_TEST_LOG_OF_A_GROUP";

/// One user has created the database, and the other is the first to open it since
/// its sidecars were removed.
#[tokio::test]
async fn users_of_a_group_can_open_the_files_of_each_other() {
    if let Some(path) = std::env::var_os(AS_ANOTHER_USER) {
        let store = Options::new().with_file_mode(0o660).open(Path::new(&path)).await.unwrap();
        stored(&store, "s", 1).await;
        return store.close().await;
    }
    let temp = TempLog::new();
    let folder = temp.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o770)).unwrap();
    let program = folder.join("test");
    let can_be_another_user = chown(folder, None, Some(4_712)).is_ok()
        && fs::copy(std::env::current_exe().unwrap(), &program).is_ok()
        && chown(&program, Some(4_714), Some(4_712)).is_ok();
    if !can_be_another_user {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let open_as = |user| {
        let name = "permissions::users_of_a_group_can_open_the_files_of_each_other";
        let mut command = Command::new(&program);
        command.args(["--exact", name]).env(AS_ANOTHER_USER, &temp.path).current_dir("/");
        command.stdin(Stdio::null()).uid(user).gid(4_712);
        loop {
            match command.output() {
                // A process that another test is starting may still have the copy open.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => yield_now(),
                output => return output.unwrap(),
            }
        }
    };
    for user in [4_711, 4_713, 4_711] {
        let output = open_as(user);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        if user == 4_711 {
            for end in ["-gate", "-turn"] {
                let _ = fs::remove_file(temp.with_end(end));
            }
        } else {
            assert_eq!(owner(&temp.with_end("-gate")), (4_713, 4_712));
            assert_eq!(mode(&temp.with_end("-gate")), 0o660);
        }
    }
}
