use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

/// Long enough for a machine that is busy with other things.
const WATCHDOG: Duration = Duration::from_mins(1);
const DATABASE: &str = "DOWNLINK_TEST_DATABASE";

fn fair_lock(folder: &tempfile::TempDir) -> FairLock {
    FairLock::open(&folder.path().join("flights.db")).unwrap()
}

fn soon() -> Instant {
    Instant::now() + WATCHDOG
}

fn until(mut holds: impl FnMut() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "the condition did not hold within {WATCHDOG:?}");
        thread::yield_now();
    }
}

#[test]
fn two_handles_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (fair_lock(&folder), fair_lock(&folder));
    let guard = left.try_lock().unwrap().unwrap();
    assert!(right.try_lock().unwrap().is_none());
    assert!(left.try_lock().unwrap().is_none());
    assert!(!guard.has_waiters());
    drop(guard);
    assert!(right.try_lock().unwrap().is_some());
}

#[test]
fn a_waiting_writer_goes_before_a_returning_one() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (fair_lock(&folder), fair_lock(&folder));
    let first = left.try_lock().unwrap().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| right.lock(soon()).unwrap().unwrap());
        until(|| first.has_waiters());
        // Waits behind `right` from before the turn is free.
        let returns = scope.spawn(|| left.lock(soon()).unwrap().unwrap());
        until(|| left.shared.state().waiters == 1);
        drop(first);
        let second = waits.join().unwrap();
        until(|| second.has_waiters());
        assert!(!returns.is_finished());
        drop(second);
        drop(returns.join().unwrap());
    });
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (fair_lock(&folder), fair_lock(&folder));
    let guard = left.try_lock().unwrap().unwrap();
    assert!(right.lock(Instant::now() + Duration::from_millis(1)).unwrap().is_none());
    until(|| guard.has_waiters());
    drop(guard);
    // The turn that has no waiter any more is released.
    drop(left.lock(soon()).unwrap().unwrap());
    drop(right.lock(soon()).unwrap().unwrap());
}

#[test]
fn the_thread_ends_with_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (fair_lock(&folder), fair_lock(&folder));
    let guard = left.try_lock().unwrap().unwrap();
    assert!(right.lock(Instant::now()).unwrap().is_none());
    until(|| guard.has_waiters());
    let shared = Arc::downgrade(&right.shared);
    drop(right);
    assert!(shared.upgrade().is_some(), "the thread still waits for the turn");
    drop(guard);
    until(|| shared.upgrade().is_none());
}

#[test]
fn one_thread_at_a_time_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let lock = fair_lock(&folder);
                for _ in 0..200 {
                    let guard = lock.lock(soon()).unwrap().unwrap();
                    let mut count = count.try_lock().expect("no other thread holds the lock");
                    *count += 1;
                    drop(count);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(count.into_inner().unwrap(), 800);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_leads_to_the_same_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("flights.db"), folder.path().join("link.db"));
    File::create(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let _guard = FairLock::open(&file).unwrap().try_lock().unwrap().unwrap();
    assert!(FairLock::open(&link).unwrap().try_lock().unwrap().is_none());
}

#[test]
fn a_missing_folder_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = FairLock::open(&folder.path().join("none/flights.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("none/flights.db-gate"), "{error}");
}

#[test]
fn the_lock_of_a_killed_process_is_released() {
    if let Some(database) = std::env::var_os(DATABASE) {
        return hold_until_killed(Path::new(&database));
    }
    let folder = tempfile::tempdir().unwrap();
    let lock = fair_lock(&folder);
    let mut child = spawn_again(&lock.shared.database);
    wait_for(&mut child, "locked");
    assert!(lock.try_lock().unwrap().is_none());
    thread::scope(|scope| {
        let waits = scope.spawn(|| lock.lock(soon()).unwrap().unwrap());
        // The child reports that it has a waiter, and is killed while it holds the lock.
        wait_for(&mut child, "contended");
        child.kill().unwrap();
        drop(waits.join().unwrap());
    });
    child.wait().unwrap();
}

/// Runs this test again in another process.
fn spawn_again(database: &Path) -> Child {
    let name = "fair_lock::tests::the_lock_of_a_killed_process_is_released";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Skips the lines that the test harness prints.
fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with(word)), "the child did not print {word}");
}

/// What the other process does, until it is killed.
fn hold_until_killed(database: &Path) {
    let print = |word: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "{word}").and_then(|()| out.flush()).unwrap();
    };
    let guard = FairLock::open(database).unwrap().lock(soon()).unwrap().unwrap();
    print("locked");
    until(|| guard.has_waiters());
    print("contended");
    until(|| false);
}
