use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

/// Long enough for a machine that is busy with other things.
const WATCHDOG: Duration = Duration::from_mins(1);
const DATABASE: &str = "DOWNLINK_TEST_DATABASE";

fn turnstile(folder: &tempfile::TempDir) -> Turnstile {
    Turnstile::beside(&folder.path().join("flights.db")).unwrap()
}

fn soon() -> Instant {
    Instant::now() + WATCHDOG
}

fn until(mut holds: impl FnMut() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come to that in {WATCHDOG:?}");
        thread::yield_now();
    }
}

#[test]
fn two_handles_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (turnstile(&folder), turnstile(&folder));
    let pass = left.try_enter().unwrap().unwrap();
    assert!(right.try_enter().unwrap().is_none());
    assert!(left.try_enter().unwrap().is_none());
    assert!(!pass.is_wanted());
    drop(pass);
    assert!(right.try_enter().unwrap().is_some());
}

#[test]
fn who_waits_is_before_who_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (turnstile(&folder), turnstile(&folder));
    let first = left.try_enter().unwrap().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| right.enter(soon()).unwrap().unwrap());
        until(|| first.is_wanted());
        // Waits behind `right` from before the turn is free.
        let comes_back = scope.spawn(|| left.enter(soon()).unwrap().unwrap());
        until(|| left.shared.state().callers == 1);
        drop(first);
        let second = waits.join().unwrap();
        until(|| second.is_wanted());
        assert!(!comes_back.is_finished());
        drop(second);
        drop(comes_back.join().unwrap());
    });
}

#[test]
fn nobody_waits_past_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (turnstile(&folder), turnstile(&folder));
    let pass = left.try_enter().unwrap().unwrap();
    assert!(right.enter(Instant::now() + Duration::from_millis(1)).unwrap().is_none());
    until(|| pass.is_wanted());
    drop(pass);
    // The turn that nobody waited for any more is handed on.
    drop(left.enter(soon()).unwrap().unwrap());
    drop(right.enter(soon()).unwrap().unwrap());
}

#[test]
fn the_thread_ends_with_the_turnstile() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (turnstile(&folder), turnstile(&folder));
    let pass = left.try_enter().unwrap().unwrap();
    assert!(right.enter(Instant::now()).unwrap().is_none());
    until(|| pass.is_wanted());
    let shared = Arc::downgrade(&right.shared);
    drop(right);
    assert!(shared.upgrade().is_some(), "it waits for the turn");
    drop(pass);
    until(|| shared.upgrade().is_none());
}

#[test]
fn many_threads_are_inside_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let own = turnstile(&folder);
                for _ in 0..200 {
                    let pass = own.enter(soon()).unwrap().unwrap();
                    let mut inside = inside.try_lock().expect("nobody else is inside");
                    *inside += 1;
                    drop(inside);
                    drop(pass);
                }
            });
        }
    });
    assert_eq!(inside.into_inner().unwrap(), 800);
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_the_same_turnstile() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("flights.db"), folder.path().join("link.db"));
    File::create(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let _pass = Turnstile::beside(&file).unwrap().try_enter().unwrap().unwrap();
    assert!(Turnstile::beside(&link).unwrap().try_enter().unwrap().is_none());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Turnstile::beside(&folder.path().join("none/flights.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("none/flights.db-gate"), "{error}");
}

#[test]
fn the_turn_of_another_process_ends_with_it() {
    if let Some(database) = std::env::var_os(DATABASE) {
        return be_inside(Path::new(&database));
    }
    let folder = tempfile::tempdir().unwrap();
    let own = turnstile(&folder);
    let mut child = spawn_again(&own.shared.database);
    wait_for(&mut child, "inside");
    assert!(own.try_enter().unwrap().is_none());
    thread::scope(|scope| {
        let waits = scope.spawn(|| own.enter(soon()).unwrap().unwrap());
        // It tells that it sees somebody wait, and is killed inside.
        wait_for(&mut child, "wanted");
        child.kill().unwrap();
        drop(waits.join().unwrap());
    });
    child.wait().unwrap();
}

/// This test once more, in another process.
fn spawn_again(database: &Path) -> Child {
    let name = "turnstile::tests::the_turn_of_another_process_ends_with_it";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The harness prints lines of its own, too.
fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with(word)), "the child did not say {word}");
}

/// What the other process does, until it is killed.
fn be_inside(database: &Path) {
    let say = |word: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "{word}").and_then(|()| out.flush()).unwrap();
    };
    let pass = Turnstile::beside(database).unwrap().enter(soon()).unwrap().unwrap();
    say("inside");
    until(|| pass.is_wanted());
    say("wanted");
    until(|| false);
}
