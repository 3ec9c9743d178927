//! The program while its output cannot be written.
#![cfg(unix)]

use std::process::Command;

#[test]
fn it_serves_without_its_output() {
    let program = |listen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.arg("--listen").arg(listen);
        command
    };
    terminal::broken_output::assert_serves(|address| program(&address.to_string()), "/feed");
    terminal::broken_output::assert_exits(|| program("nowhere"), 1);
}
