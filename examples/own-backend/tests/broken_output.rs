//! The program while its output cannot be written.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::process::Command;

#[test]
fn it_runs_without_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_own-backend"));
        command.arg(folder.path().join("flights"));
        command
    };
    terminal::broken_output::assert_exits(program, 0);
}
