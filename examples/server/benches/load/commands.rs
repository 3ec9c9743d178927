use std::io::stdin;
use std::thread;

use tokio::sync::mpsc;

/// The lines of the standard input, which another process of this program writes.
#[derive(Debug)]
pub(crate) struct Commands(mpsc::Receiver<String>);

impl Commands {
    pub(crate) fn read() -> Self {
        let (sender, lines) = mpsc::channel(16);
        thread::spawn(move || {
            let mut lines = stdin().lines().map_while(Result::ok);
            // Ends with the input, or when nothing reads the commands any more.
            lines.try_for_each(|line| sender.blocking_send(line))
        });
        Self(lines)
    }

    /// `None` if the other process has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.0.recv().await
    }
}
