//! Whose the files of a log are, and who may open them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::yield_now;

use crate::support::driver::{self, Options};
use crate::support::{TempLog, chain, stored};
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
        let temp = TempLog::new();
        let store = options.open(&temp.path).await.unwrap();
        stored(&store, "s", 1).await;
        let backup = temp.folder.path().join("backup.db");
        store.backup(&backup).await.unwrap();
        for path in BESIDE.map(|end| temp.with_end(end)).iter().chain([&temp.path, &backup]) {
            assert_eq!(mode(path), expected, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_file_that_a_link_names_is_made_with_the_mode_too() {
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
async fn the_files_beside_a_database_follow_its_owner_and_mode() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    fs::set_permissions(&temp.path, Permissions::from_mode(0o640)).unwrap();
    // `-gate` is there, as an earlier run of another user leaves it, and `-turn` is not.
    fs::remove_file(temp.with_end("-turn")).unwrap();
    let is_root = chown(&temp.path, Some(4_711), Some(4_712)).is_ok();
    if !is_root {
        eprintln!("not root: only modes are looked at");
    }
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    let backup = temp.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    for path in BESIDE.map(|end| temp.with_end(end)).iter().chain([&backup]) {
        assert_eq!(mode(path), 0o640, "{}", path.display());
        assert_eq!(owner(path), owner(&temp.path), "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_beside_it_that_cannot_be_opened_is_named_with_its_owner() {
    for end in ["-gate", "-turn"] {
        let temp = TempLog::new();
        temp.open().await.close().await;
        fs::remove_file(temp.with_end(end)).unwrap();
        // Also root cannot write to it.
        fs::create_dir(temp.with_end(end)).unwrap();
        let error = driver::open(&temp.path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
        let whose = format!("it belongs to user {}", owner(&temp.with_end(end)).0);
        for part in [&format!("flights.db{end}"), &whose, "remove it"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

/// The folder of the log may be of a user who puts there what he likes, and the program
/// may be root's: no file is made, opened or given away through a link.
#[tokio::test]
async fn a_link_in_the_place_of_a_file_beside_it_is_refused() {
    type Link = fn(&Path, &Path) -> io::Result<()>;
    let links: [Link; 2] = [|to, at| symlink(to, at), |to, at| fs::hard_link(to, at)];
    for end in ["-gate", "-turn"] {
        for link in links {
            let temp = TempLog::new();
            temp.open().await.close().await;
            fs::set_permissions(&temp.path, Permissions::from_mode(0o666)).unwrap();
            // Unless this is root, there is no other owner.
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

/// The one user has made the database, and the other is the first to open it since the
/// files beside it are gone.
#[tokio::test]
async fn the_users_of_a_group_can_each_open_what_the_other_has_made() {
    if let Some(path) = std::env::var_os(AS_ANOTHER_USER) {
        let store = Options::new().with_file_mode(0o660).open(Path::new(&path)).await.unwrap();
        stored(&store, "s", 1).await;
        return store.close().await;
    }
    let temp = TempLog::new();
    let folder = temp.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o770)).unwrap();
    let program = folder.join("test");
    let may_be_others = chown(folder, None, Some(4_712)).is_ok()
        && fs::copy(std::env::current_exe().unwrap(), &program).is_ok()
        && chown(&program, Some(4_714), Some(4_712)).is_ok();
    if !may_be_others {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let open_as = |user| {
        let name = "permissions::the_users_of_a_group_can_each_open_what_the_other_has_made";
        let mut command = Command::new(&program);
        command.args(["--exact", name]).env(AS_ANOTHER_USER, &temp.path).current_dir("/");
        command.stdin(Stdio::null()).uid(user).gid(4_712);
        loop {
            match command.output() {
                // A program that another test starts just now has the copy open until it runs.
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
