//! The program, while its output is not read.
#![cfg(unix)]

use std::process::Command;

#[test]
fn it_serves_whether_anybody_reads_what_it_says_or_not() {
    let program = |listen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.arg("--listen").arg(listen);
        command
    };
    terminal::unheard::serves(|address| program(&address.to_string()), "/feed");
    terminal::unheard::runs(|| program("nowhere"), 1);
}
