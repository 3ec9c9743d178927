//! The program, while its output is not read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::process::Command;

#[test]
fn it_serves_whether_anybody_reads_what_it_says_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let program = |address: std::net::SocketAddr| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.arg("--db").arg(folder.path().join("chat.db"));
        command.arg("--listen").arg(address.to_string());
        command
    };
    terminal::unheard::serves(program, "/api/feed");
    let no_log = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.arg("--db").arg(folder.path()).arg("--listen").arg("127.0.0.1:0");
        command
    };
    terminal::unheard::runs(no_log, 1);
}
