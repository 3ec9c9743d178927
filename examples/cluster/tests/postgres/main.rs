//! Runs the program as a user does. Ignored by default, as it needs PostgreSQL, NATS and nginx.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod program;

use std::path::Path;
use std::process::Command;

use program::Program;

#[test]
#[ignore = "needs PostgreSQL, NATS and nginx: ./check postgres"]
fn kills_lose_nothing_behind_nginx_over_nats() {
    let report = report(&["--proxy", "nginx"]);
    assert!(!report.contains("NATS: 0"), "{report}");
}

#[test]
#[ignore = "needs PostgreSQL and haproxy: ./check postgres"]
fn kills_lose_nothing_behind_haproxy_over_postgres() {
    report(&["--proxy", "haproxy", "--bus", "postgres"]);
}

/// A few kills, and a load that a busy machine keeps up with.
const SHORT: [&str; 6] = ["--seconds", "30", "--kill-every", "3", "--rate", "20"];

/// Runs the program to its end, and returns its report if it is clean.
fn report(options: &[&str]) -> String {
    let mut program = Program::start(&[&SHORT[..], options].concat());
    let folder = program.folder();
    let report = program.rest();
    assert_eq!(program.wait(), Some(0), "{report}");
    for nothing in ["lost", "repeated", "out of order", "never sent"] {
        assert_eq!(number(&report, nothing), 0, "{report}");
    }
    assert!(number(&report, "kills") >= 5, "{report}");
    let [sent, acknowledged] = ["sent", "acknowledged"].map(|name| number(&report, name));
    assert!(sent > 100, "{report}");
    assert_eq!(acknowledged, sent, "{report}");
    // Each of the eight clients follows the whole log.
    assert_eq!(number(&report, "delivered"), 8 * sent, "{report}");
    for times in ["before the kills", "during the kills", "after the kills"] {
        assert_eq!(report.matches(times).count(), 2, "{report}");
    }
    assert!(!folder.exists(), "{} was not removed", folder.display());
    report
}

/// The first number in the line of this name.
fn number(report: &str, name: &str) -> u64 {
    let line = report.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no line {name:?} in {report}"));
    let mut numbers = line.split(|letter: char| !letter.is_ascii_digit());
    numbers.find(|text| !text.is_empty()).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs PostgreSQL, NATS and nginx: ./check postgres"]
fn ctrl_c_ends_the_load_and_everything_that_was_started() {
    let mut program = Program::start(&["--seconds", "600"]);
    let folder = program.folder();
    program.line("page");
    program.interrupt();
    let report = program.rest();
    program.wait();
    assert_eq!((number(&report, "lost"), number(&report, "repeated")), (0, 0), "{report}");
    assert!(!folder.exists(), "{} was not removed", folder.display());
    assert_eq!(processes_of(&folder), "", "some still run");
}

#[test]
#[ignore = "needs PostgreSQL, NATS and nginx: ./check postgres"]
fn what_was_started_ends_with_the_program_even_if_that_is_killed() {
    let mut program = Program::start(&["--seconds", "600"]);
    let folder = program.folder();
    program.line("page");
    assert_ne!(processes_of(&folder), "", "none are found");
    program.kill();
    program::until("everything ends", || !folder.exists() && processes_of(&folder).is_empty());
}

/// The processes that have the folder in their command line.
fn processes_of(folder: &Path) -> String {
    let output = Command::new("pgrep").args(["-f", folder.to_str().unwrap()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
