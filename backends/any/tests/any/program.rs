//! The program `downlink-copy`.

use std::path::{Path, PathBuf};
use std::process::Child;

use downlink::{Cursor, EventStoreExt, Expected, NewEvent};
use downlink_any::Log;
use tempfile::TempDir;

use crate::copier::{command, copy_and_kill, fill, grown, head, run, text};

fn landed() -> NewEvent {
    NewEvent::json("FlightLanded", "{}").unwrap()
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn url(&self, driver: &str, name: &str) -> String {
        format!("{driver}:{}", self.path(name).display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn filled(&self, name: &str, count: u64) -> String {
        let url = self.url("rusqlite", name);
        let log = Log::open(&url).await.unwrap();
        fill(&*log.import_store(), count).await;
        log.close().await;
        url
    }
}

/// As a wrong database or schema is.
#[tokio::test]
async fn a_log_without_events_is_refused() {
    let files = Files::new();
    let from = files.filled("from.db", 0).await;
    let copied = run(&[&from, &files.url("sqlx", "to.db")]);
    assert_eq!(copied.status.code(), Some(3), "{}", text(&copied));
    assert!(text(&copied).contains("has no events: correct"), "{}", text(&copied));
    assert!(!files.path("to.db").exists(), "no copy is created");
}

#[tokio::test]
async fn the_exit_status_tells_how_it_went() {
    let files = Files::new();
    let from = files.filled("from.db", 1_500).await;
    let to = files.url("sqlx", "to.db");
    let copied = run(&[&from, &to]);
    assert_eq!(copied.status.code(), Some(0), "{}", text(&copied));
    assert!(text(&copied).contains("identical: 1500 events"), "{}", text(&copied));

    let log = Log::open(&from).await.unwrap();
    log.store().append_to("flight-1", Expected::Exists, [landed()]).await.unwrap();
    let compared = run(&["--verify-only", &from, &to]);
    assert_eq!(compared.status.code(), Some(1), "{}", text(&compared));
    assert!(text(&compared).contains("the copy ends before position 1501"), "{}", text(&compared));
    let copied = run(&[&from, &to]);
    assert!(text(&copied).contains("copied 1 event after"), "{}", text(&copied));
    log.close().await;

    let log = Log::open(&to).await.unwrap();
    log.store().append_to("flight-1", Expected::Exists, [landed()]).await.unwrap();
    log.close().await;
    let in_use = run(&[&from, &to]);
    assert_eq!(in_use.status.code(), Some(3), "{}", text(&in_use));
    assert!(text(&in_use).contains("empty target"), "{}", text(&in_use));
    let compared = run(&["--verify-only", &from, &to]);
    assert_eq!(compared.status.code(), Some(0), "{}", text(&compared));
    assert!(text(&compared).contains("has further events"), "{}", text(&compared));

    let missing = run(&[&files.url("rusqlite", "missing.db"), &to]);
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
    assert!(!files.path("missing.db").exists(), "no empty log is created where none was");
    assert_eq!(run(&[&from]).status.code(), Some(2));
}

#[tokio::test]
async fn a_copy_that_is_killed_is_continued() {
    let files = Files::new();
    let (from, to) = (files.filled("from.db", 100_000).await, files.url("rusqlite", "to.db"));
    let (original, copy) = (Log::open(&from).await.unwrap(), Log::open(&to).await.unwrap());
    copy_and_kill(&original, &copy, &[&from, &to]).await;
    original.close().await;
    copy.close().await;
    verify(&files.path("to.db")).await;
}

/// Checks the links, versions and times in the file.
async fn verify(path: &Path) {
    let store = downlink_rusqlite::open(path).await.unwrap();
    let report = store.verify().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_between_two_batches() {
    let files = Files::new();
    let from = files.filled("from.db", 60_000).await;
    let to = files.url("sqlx", "to.db");
    let copy = Log::open(&to).await.unwrap();
    let mut program = command(&[&from, &to]).spawn().unwrap();
    assert!(grown(&copy, Cursor::START, &mut program).await, "it ended before the signal");
    terminate(&program);
    let stopped = program.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(143), "{}", text(&stopped));
    assert!(text(&stopped).contains("run it again"), "{}", text(&stopped));
    copy.close().await;
    let rest = run(&[&from, &to]);
    assert_eq!(rest.status.code(), Some(0), "{}", text(&rest));
}

#[cfg(unix)]
#[tokio::test]
async fn it_follows_what_is_appended() {
    let files = Files::new();
    let from = files.filled("from.db", 10).await;
    let to = files.url("rusqlite", "to.db");
    let (original, copy) = (Log::open(&from).await.unwrap(), Log::open(&to).await.unwrap());
    let mut program = command(&["--follow", &from, &to]).spawn().unwrap();
    assert!(grown(&copy, Cursor::START, &mut program).await);
    for _ in 0..3 {
        let before = head(&copy).await;
        original.store().append_to("flight-1", Expected::Exists, [landed()]).await.unwrap();
        assert!(grown(&copy, before, &mut program).await);
    }
    terminate(&program);
    let followed = program.wait_with_output().unwrap();
    assert_eq!(followed.status.code(), Some(0), "{}", text(&followed));
    assert!(text(&followed).contains("identical: 13 events"), "{}", text(&followed));
    original.close().await;
    copy.close().await;
}

#[cfg(unix)]
fn terminate(program: &Child) {
    let pid = i32::try_from(program.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}
