//! The program, while its output is not read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::process::Command;

#[test]
fn it_does_its_work_whether_anybody_reads_what_it_says_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_departures"));
        command.arg(folder.path().join("flights"));
        command
    };
    terminal::unheard::runs(program, 0);
}
