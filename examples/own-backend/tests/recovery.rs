//! Recovery of files that a crash or a disk has damaged.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use downlink::{ErrorKind, EventStore, EventStoreExt, Expected, NewEvent, Read};
use futures::{FutureExt, TryStreamExt};
use own_backend::FileStore;
use tempfile::TempDir;

fn event(number: usize) -> NewEvent {
    NewEvent::json("FlightDelayed", format!(r#"{{"minutes":{number}}}"#)).unwrap()
}

async fn append(store: &FileStore, numbers: &[usize]) {
    let events: Vec<_> = numbers.iter().copied().map(event).collect();
    store.append_to("flight-UA1545", Expected::Any, events).await.unwrap();
}

/// The payloads in the log, in order.
async fn delays(store: &FileStore) -> Vec<String> {
    let events: Vec<_> = store.log_events(Read::log()).try_collect().await.unwrap();
    events.iter().map(|event| String::from_utf8_lossy(event.payload()).into_owned()).collect()
}

fn of(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| format!(r#"{{"minutes":{number}}}"#)).collect()
}

struct Log {
    path: PathBuf,
    _folder: TempDir,
    /// The content of the file, and the offset of the second of its two records.
    bytes: Vec<u8>,
    last: usize,
}

impl Log {
    /// Delays 1 and 2 in one transaction, and 3 and 4 in the next.
    async fn of_two_transactions() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flights.log");
        let store = FileStore::open(&path).await.unwrap();
        append(&store, &[1, 2]).await;
        let last = fs::read(&path).unwrap().len();
        append(&store, &[3, 4]).await;
        store.close().await;
        let bytes = fs::read(&path).unwrap();
        Self { path, _folder: folder, bytes, last }
    }

    fn with_flipped(&self, place: usize) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[place] ^= 0x10;
        bytes
    }
}

/// Opens what is left of the log, and appends to it.
async fn assert_recovers(path: &Path, bytes: &[u8], kept: &[usize], what: &str) {
    fs::write(path, bytes).unwrap();
    let store = FileStore::open(path).await.unwrap();
    assert_eq!(delays(&store).await, of(kept), "{what}");
    append(&store, &[5]).await;
    store.close().await;
    drop(store);
    let store = FileStore::open(path).await.unwrap();
    assert_eq!(delays(&store).await, of(&[kept, &[5]].concat()), "{what}, opened once more");
    let page = store.read_log(Read::log().backward().with_limit(1)).await.unwrap();
    assert_eq!(page.events[0].version().get(), page.events[0].position().get(), "{what}");
}

#[tokio::test]
async fn an_incomplete_record_is_truncated_wherever_it_ends() {
    let log = Log::of_two_transactions().await;
    for len in log.last..log.bytes.len() {
        let what = format!("{len} of {} bytes", log.bytes.len());
        assert_recovers(&log.path, &log.bytes[..len], &[1, 2], &what).await;
    }
    for len in 0..log.last {
        assert_recovers(&log.path, &log.bytes[..len], &[], &format!("{len} bytes")).await;
    }
}

#[tokio::test]
async fn a_damaged_last_record_is_truncated() {
    let log = Log::of_two_transactions().await;
    for place in log.last..log.bytes.len() {
        let what = format!("byte {place} of {}", log.bytes.len());
        assert_recovers(&log.path, &log.with_flipped(place), &[1, 2], &what).await;
    }
    // Space that the file system allocated, without data.
    let zeros = [&log.bytes[..], &[0; 5_000]].concat();
    assert_recovers(&log.path, &zeros, &[1, 2, 3, 4], "zeros").await;
}

#[tokio::test]
async fn damage_in_the_middle_is_an_error_and_the_file_is_unchanged() {
    let log = Log::of_two_transactions().await;
    for place in 0..log.last {
        let damaged = log.with_flipped(place);
        fs::write(&log.path, &damaged).unwrap();
        let error = FileStore::open(&log.path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {place}: {error}");
        assert_eq!(fs::read(&log.path).unwrap(), damaged, "byte {place}");
    }
}

#[tokio::test]
async fn damage_while_the_store_is_open_is_a_read_error() {
    let log = Log::of_two_transactions().await;
    let store = FileStore::open(&log.path).await.unwrap();
    fs::write(&log.path, log.with_flipped(log.bytes.len() - 1)).unwrap();
    let error = store.read_log(Read::log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(store.read_log(Read::log().with_limit(3)).await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn a_file_that_is_not_a_log_is_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "gate C71").unwrap();
    assert_eq!(FileStore::open(&path).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(fs::read(&path).unwrap(), b"gate C71");
}

#[tokio::test]
async fn a_log_inside_a_payload_is_not_read_as_records() {
    let log = Log::of_two_transactions().await;
    let store = FileStore::open(&log.path).await.unwrap();
    let binary = downlink::event::ContentType::new("application/octet-stream").unwrap();
    let copy = NewEvent::bytes("LogCopied", binary, log.bytes.clone()).unwrap();
    store.append_to("copies", Expected::NoStream, [copy]).await.unwrap();
    store.close().await;
    drop(store);
    let content = fs::read(&log.path).unwrap();
    assert_recovers(&log.path, &content[..content.len() - 1], &[1, 2, 3, 4], "an incomplete copy")
        .await;
}

#[tokio::test]
async fn one_handle_at_a_time_has_the_file_open() {
    let log = Log::of_two_transactions().await;
    let first = FileStore::open(&log.path).await.unwrap();
    let mut second = Box::pin(FileStore::open(&log.path));
    assert!(second.as_mut().now_or_never().is_none());
    append(&first, &[5]).await;
    drop(first);
    assert_eq!(delays(&second.await.unwrap()).await, of(&[1, 2, 3, 4, 5]));
}

/// Set in the child process that has a file size limit.
const LIMITED: &str = "OWN_BACKEND_IS_LIMITED";

/// A write that fails half-way, here because of a file size limit, leaves the file
/// unchanged, and the store keeps working.
#[test]
fn a_failed_write_is_undone() {
    if std::env::var_os(LIMITED).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(fill_the_file());
    }
    let this = std::env::current_exe().unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 32; exec "$0" --exact a_failed_write_is_undone"#;
    let output =
        Command::new("sh").args(["-c", limited]).arg(this).env(LIMITED, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn fill_the_file() {
    let log = Log::of_two_transactions().await;
    let store = FileStore::open(&log.path).await.unwrap();
    let text = format!("\"{}\"", "x".repeat(5_000));
    let large = || NewEvent::json("FlightDelayed", text.clone()).unwrap();
    let mut stored = 4;
    let error = loop {
        match store.append_to("flight-UA1545", Expected::Exists, [large()]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(stored > 4, "some events must fit");
    append(&store, &[5]).await;
    assert_eq!(delays(&store).await.len(), stored + 1);
    store.close().await;
    drop(store);
    let len = fs::metadata(&log.path).unwrap().len();
    let store = FileStore::open(&log.path).await.unwrap();
    assert_eq!(delays(&store).await.len(), stored + 1);
    assert_eq!(
        fs::metadata(&log.path).unwrap().len(),
        len,
        "the file must end with a complete record"
    );
}

#[test]
fn help_does_not_create_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_own-backend"));
    let output = program.arg("--help").current_dir(&folder).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
