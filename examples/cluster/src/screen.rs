use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use terminal::outln;

/// Lines of text, and on a terminal one more line that is overwritten.
#[derive(Debug)]
pub(crate) struct Screen {
    is_terminal: bool,
    has_progress: AtomicBool,
}

/// Begins the line again.
const CLEAR: &str = "\r\x1b[2K";

impl Screen {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), has_progress: AtomicBool::new(false) }
    }

    pub(crate) fn line(&self, text: &str) {
        self.clear();
        outln!("{text}");
    }

    pub(crate) fn progress(&self, text: &str) {
        if self.is_terminal {
            self.clear();
            self.has_progress.store(true, Ordering::Relaxed);
            write(text);
        }
    }

    fn clear(&self) {
        if self.has_progress.swap(false, Ordering::Relaxed) {
            write(CLEAR);
        }
    }
}

/// A closed output does not end the program.
fn write(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
