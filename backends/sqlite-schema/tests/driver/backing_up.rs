//! Backups of a log while it is written to.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downlink::event::ContentType;
use downlink::{Append, ErrorKind, Event, EventStore, Expected, Hub, LocalBus, NewEvent, Read};
use futures::{FutureExt, poll};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::support::driver::{self, Store, verify};
use crate::support::{Tally, TempLog, all, ask, chain, stored};

impl TempLog {
    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    /// The files in the folder other than the store's own.
    fn others(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with("flights.db")).collect()
    }
}

/// Some megabytes, so that a copy takes a while.
async fn fill(store: &Store) {
    let binary = ContentType::new("application/octet-stream").unwrap();
    for _ in 0..40 {
        let photo = || NewEvent::bytes("Photo", binary.clone(), vec![7; 50_000]).unwrap();
        let photos: Vec<_> = (0..20).map(|_| photo()).collect();
        store.append(Append::to("photos", Expected::Any, photos).unwrap()).await.unwrap();
    }
}

async fn log(store: &Store) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(downlink::Cursor::START, Event::cursor);
        let page = store.read_log(Read::log().with_after(after)).await.unwrap();
        if page.events.is_empty() {
            return events;
        }
        events.extend(page.events);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_appends_is_a_prefix_of_the_log() {
    let temp = TempLog::new();
    let store = temp.open().await;
    fill(&store).await;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let projection = hub.project(Tally(1), store.clone()).start().unwrap();
    projection.wait_live().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let appenders: Vec<_> = (0..64)
        .map(|task| {
            let (store, stopped) = (store.clone(), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    stored(&store, &format!("flight-{task}"), 1).await;
                }
            })
        })
        .collect();
    let before = store.head().await.unwrap();
    let backup = store.backup(temp.backup()).await.unwrap();
    let after = store.head().await.unwrap();
    stop.send(true).unwrap();
    for appender in appenders {
        appender.await.unwrap();
    }
    hub.shutdown().await;
    assert!(before <= backup.report.head && backup.report.head < after, "{backup:?}");
    assert_eq!(temp.others(), ["backup.db"]);
    let report = verify(temp.backup()).await.unwrap();
    assert!(report.is_sound() && report == backup.report, "{report}");

    let copy = driver::open(temp.backup()).await.unwrap();
    let (whole, prefix) = (log(&store).await, log(&copy).await);
    assert_eq!(prefix.last().unwrap().cursor(), backup.report.head);
    assert_eq!(prefix[..], whole[..prefix.len()]);
    // The copy has the read model of the same moment.
    let (_, cursor) = ask(&copy, &[], |_| "SELECT 'here'".into()).await.unwrap();
    assert!(cursor <= backup.report.head);
    stored(&copy, "flight-0", 1).await;
    assert!(copy.verify().await.unwrap().is_sound());
    copy.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_backup_replaces_no_file() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let before = all(&store).await;
    let wal = temp.folder.path().join("backup.db-wal");
    for (name, taken) in [
        (temp.backup(), temp.backup()),
        (temp.backup(), wal),
        (temp.path.clone(), temp.path.clone()),
    ] {
        let is_own = taken == temp.path;
        if !is_own {
            fs::write(&taken, "mine").unwrap();
        }
        let error = store.backup(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{}", chain(&error));
        assert!(error.to_string().contains(taken.to_str().unwrap()), "{error}");
        let source = std::error::Error::source(&error).unwrap();
        let source: &io::Error = source.downcast_ref().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
        if !is_own {
            assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
            fs::remove_file(taken).unwrap();
        }
    }
    assert!(temp.others().is_empty());
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn a_missing_folder_is_unavailable() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let nowhere = temp.folder.path().join("missing/backup.db");
    let error = store.backup(nowhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_backup_leaves_no_file() {
    let temp = TempLog::new();
    let store = temp.open().await;
    fill(&store).await;
    // Dropped at once, in the middle of the copy, and during its verification.
    for moment in 0..3 {
        let reached = Arc::new(Notify::new());
        let notify = Arc::clone(&reached);
        let mut backup = store
            .backup_with(temp.backup(), move |progress| {
                if (progress.done == progress.total) == (moment == 2) {
                    notify.notify_one();
                }
            })
            .boxed();
        assert!(poll!(&mut backup).is_pending());
        if moment > 0 {
            tokio::select! {
                () = reached.notified() => {}
                done = &mut backup => panic!("no progress was reported: {done:?}"),
            }
        }
        drop(backup);
        let gone = async {
            while !temp.others().is_empty() {
                assert!(!temp.backup().exists() || moment == 2);
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_mins(1), gone).await.expect("the partial copy is removed");
    }
    store.backup(temp.backup()).await.unwrap();
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn progress_rises_to_the_size_of_the_copy() {
    let temp = TempLog::new();
    let store = temp.open().await;
    fill(&store).await;
    let all = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&all);
    let on_progress = move |progress| collected.lock().unwrap().push(progress);
    let backup = store.backup_with(temp.backup(), on_progress).await.unwrap();
    let all = all.lock().unwrap();
    assert!(all.is_sorted_by_key(|progress| progress.done), "{all:?}");
    let last = all.last().unwrap();
    assert_eq!((last.done, last.total), (backup.bytes, backup.bytes));
    assert_eq!(backup.bytes, fs::metadata(temp.backup()).unwrap().len());
}

#[tokio::test]
async fn a_panic_while_progress_is_reported_leaves_no_file() {
    let temp = TempLog::new();
    let store = temp.open().await;
    fill(&store).await;
    let on_progress = |_| panic!("no such gate");
    let error = store.backup_with(temp.backup(), on_progress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{}", chain(&error));
    assert!(temp.others().is_empty());
    store.backup(temp.backup()).await.unwrap();
}

/// An application may refer to rows of tables without a key by their row ids.
#[tokio::test]
async fn row_ids_are_kept() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let table =
        "CREATE TABLE gates (gate); INSERT INTO gates (rowid, gate) VALUES (7, 'C71'), (99, 'A1')";
    temp.sql().execute_batch(table).unwrap();
    store.backup(temp.backup()).await.unwrap();
    let copy = rusqlite::Connection::open(temp.backup()).unwrap();
    let rows: String = copy
        .query_row("SELECT group_concat(concat(rowid, gate)) FROM gates", (), |row| row.get(0))
        .unwrap();
    assert_eq!(rows, "7C71,99A1");
}
