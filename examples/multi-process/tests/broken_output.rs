//! The program while its output cannot be written.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::process::Command;

#[test]
fn it_serves_without_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let program = |role, listen: &str, db| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multi-process"));
        command.arg(role).arg("--db").arg(db).arg("--listen").arg(listen);
        command
    };
    let db = folder.path().join("departures.db");
    terminal::broken_output::assert_serves(
        |address| program("serve", &address.to_string(), &*db),
        "/api/feed",
    );
    terminal::broken_output::assert_exits(|| program("serve", "127.0.0.1:0", folder.path()), 1);
}
