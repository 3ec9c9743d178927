//! Each error of opening a log names its cause, and says what to do.

use std::fs::{self, File, Permissions};
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use downlink::ErrorKind;

use crate::support::driver::{Bus, Options};
use crate::support::{TempLog, chain};

/// Checks that opening a store fails with this kind and these words.
async fn assert_refused(path: &Path, kind: ErrorKind, words: &[&str]) {
    let options = Options::new().with_busy_deadline(Duration::from_millis(20));
    let error = options.open(path).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{}", chain(&error));
    let text = error.to_string();
    assert!(text.starts_with(&format!("could not open {}: ", path.display())), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

async fn closed_log() -> TempLog {
    let temp = TempLog::new();
    temp.open().await.close().await;
    temp
}

/// Sets the mode of a file or a folder, and restores it when dropped.
struct Mode(PathBuf, u32);

impl Mode {
    fn set(path: &Path, mode: u32) -> Self {
        let before = fs::metadata(path).unwrap().permissions().mode();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        Self(path.to_owned(), before)
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, Permissions::from_mode(self.1));
    }
}

/// Whether file modes apply to this process: they do not apply to root.
fn modes_apply() -> bool {
    let temp = TempLog::new();
    let _read_only = Mode::set(temp.folder.path(), 0o555);
    let apply = fs::write(&temp.path, "").is_err();
    if !apply {
        eprintln!("skipped: file modes do not apply to this user, probably root");
    }
    apply
}

#[tokio::test]
async fn a_lock_of_another_program_is_reported() {
    let temp = closed_log().await;
    let other = temp.sql();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    assert_refused(&temp.path, ErrorKind::Busy, &["another program", "locked", "end"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_reported() {
    let temp = TempLog::new();
    fs::write(&temp.path, "a letter to my aunt".repeat(100)).unwrap();
    let words = ["not a SQLite database", "name another"];
    assert_refused(&temp.path, ErrorKind::Corrupt, &words).await;
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_file_is_reported() {
    let temp = TempLog::new();
    let words = ["is a folder", "name a file in it"];
    assert_refused(temp.folder.path(), ErrorKind::Invalid, &words).await;
}

#[tokio::test]
async fn a_missing_folder_is_reported() {
    let temp = TempLog::new();
    let missing = temp.folder.path().join("missing");
    let words = [&*format!("the folder {} does not exist", missing.display()), "create it"];
    assert_refused(&missing.join("flights.db"), ErrorKind::Unavailable, &words).await;
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_reported() {
    let temp = TempLog::new();
    fs::write(&temp.path, "").unwrap();
    let words = ["is not a folder"];
    assert_refused(&temp.path.join("flights.db"), ErrorKind::Unavailable, &words).await;
}

#[tokio::test]
async fn a_newer_format_is_reported() {
    let temp = closed_log().await;
    let newer = "UPDATE downlink_meta SET value = 99 WHERE name = 'format'";
    temp.sql().execute_batch(newer).unwrap();
    assert_refused(&temp.path, ErrorKind::Invalid, &["version 99", "newer release"]).await;
}

#[tokio::test]
async fn a_read_only_file_is_reported() {
    if !modes_apply() {
        return;
    }
    let temp = closed_log().await;
    let _mode = Mode::set(&temp.path, 0o400);
    let words = ["may only read the file", "mode 400", "read and write"];
    assert_refused(&temp.path, ErrorKind::Unavailable, &words).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_opened_is_reported() {
    if !modes_apply() {
        return;
    }
    let temp = closed_log().await;
    let _mode = Mode::set(&temp.path, 0o000);
    let words = ["may not open the file", "mode 000", "read and write"];
    assert_refused(&temp.path, ErrorKind::Unavailable, &words).await;
}

#[tokio::test]
async fn a_read_only_folder_is_reported() {
    if !modes_apply() {
        return;
    }
    for temp in [closed_log().await, TempLog::new()] {
        for end in ["-gate", "-turn"] {
            let _ = fs::remove_file(temp.with_end(end));
        }
        let _mode = Mode::set(temp.folder.path(), 0o555);
        let words = ["may not write in the folder", "mode 555"];
        assert_refused(&temp.path, ErrorKind::Unavailable, &words).await;
    }
}

#[tokio::test]
async fn a_folder_that_may_not_be_searched_is_reported() {
    if !modes_apply() {
        return;
    }
    let temp = closed_log().await;
    let _mode = Mode::set(temp.folder.path(), 0o600);
    let words = ["may not search the folder", "mode 600"];
    assert_refused(&temp.path, ErrorKind::Unavailable, &words).await;
}

const WITHOUT_FILES: &str = "DOWNLINK_TEST_WITHOUT_FILES";

/// Whichever file cannot be opened, the error does not name a mode as the cause.
#[tokio::test]
async fn too_many_open_files_are_not_blamed_on_a_mode() {
    if std::env::var_os(WITHOUT_FILES).is_some() {
        return open_with_few_files_left().await;
    }
    let name = "open_failures::too_many_open_files_are_not_blamed_on_a_mode";
    // The limit applies to a whole process, so this runs in a separate one.
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(WITHOUT_FILES, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
}

async fn open_with_few_files_left() {
    let (closed, new) = (closed_log().await, TempLog::new());
    for temp in [&closed, &new] {
        let mut errors = Vec::new();
        for left in 0..20 {
            let mut taken: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
            taken.truncate(taken.len() - left);
            let opened = Options::new().open(&temp.path).await;
            drop(taken);
            match opened {
                Ok(store) => store.close().await,
                Err(error) => errors.push(error.to_string()),
            }
        }
        assert!(errors[0].contains("open files"), "{errors:?}");
        for text in errors {
            for words in
                ["this process may not", "may only", "be writable", "is not writable", "same owner"]
            {
                assert!(!text.contains(words), "{text}");
            }
        }
    }
}

/// A bus is opened like a store, and only for an existing log.
#[tokio::test]
async fn a_bus_is_refused_in_the_same_words() {
    let temp = TempLog::new();
    fs::write(&temp.path, "a letter to my aunt".repeat(100)).unwrap();
    let error = Bus::open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("not a SQLite database: name another"), "{error}");
    let error = Bus::open(temp.folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
