//! Runs the program `downlink-copy`.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use downlink::Cursor;
use downlink::store::{Import, ImportStore};
use downlink_any::Log;
use downlink_any::copy::LogCopy;

use crate::copying::small;

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_downlink-copy"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

pub(crate) fn text(output: &Output) -> String {
    let Output { stdout, stderr, .. } = output;
    format!("{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

/// Fills a log with this many events.
pub(crate) async fn fill(store: &dyn ImportStore, count: u64) {
    let mut head = Cursor::START;
    for events in small(count).chunks(5_000) {
        head = store.import(Import::new(head, events.to_vec())).await.unwrap();
    }
}

/// The end of the log in this file, while another process writes to it.
pub(crate) async fn head(log: &Log) -> Cursor {
    log.store().head().await.unwrap()
}

/// Waits until the copy has grown, or its program has ended.
pub(crate) async fn grown(log: &Log, from: Cursor, program: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_mins(1);
    while head(log).await == from {
        if program.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "the copy does not grow");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

/// Copies all of the original with these arguments, and kills the program ten times meanwhile.
pub(crate) async fn copy_and_kill(original: &Log, copy: &Log, arguments: &[&str]) {
    const KILLS: usize = 10;
    for _ in 0..KILLS {
        let before = head(copy).await;
        let mut program = command(arguments).spawn().expect("the program runs");
        assert!(grown(copy, before, &mut program).await, "it ended before it was killed");
        program.kill().expect("it is killed");
        program.wait().expect("it ends");
    }
    assert!(head(copy).await < head(original).await, "it was killed before its end each time");
    let last = run(arguments);
    assert_eq!(last.status.code(), Some(0), "{}", text(&last));
    assert!(text(&last).contains("identical"), "{}", text(&last));
    let logs = LogCopy::new(original.store(), copy.import_store());
    let end = logs.end().await.expect("the end of the original");
    let comparison = logs.compare(end, |_| ()).await.expect("two logs");
    assert!(comparison.is_identical() && !comparison.has_more, "{comparison:?}");
}
