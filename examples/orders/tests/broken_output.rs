//! The program while its output cannot be written.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::process::Command;

#[test]
fn it_serves_without_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let program = |address: std::net::SocketAddr| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        command.arg("--db").arg(folder.path().join("orders.db"));
        command.arg("--listen").arg(address.to_string());
        command
    };
    terminal::broken_output::assert_serves(program, "/");
    let without_log = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        command.arg("--db").arg(folder.path()).arg("--listen").arg("127.0.0.1:0");
        command
    };
    terminal::broken_output::assert_exits(without_log, 1);
}
