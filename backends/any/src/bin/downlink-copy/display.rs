use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use downlink_any::copy::{Phase, Progress};

/// The pauses between two lines, on a terminal and in a file.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
const IN_A_FILE: Duration = Duration::from_secs(5);

/// Shows the progress on the standard error: in one line of a terminal, or as lines.
#[derive(Debug)]
pub(crate) struct Display {
    is_terminal: bool,
    last: Instant,
    has_line: bool,
}

impl Display {
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, last: Instant::now(), has_line: false }
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        let pause = if self.is_terminal { ON_A_TERMINAL } else { IN_A_FILE };
        if self.last.elapsed() < pause {
            return;
        }
        self.last = Instant::now();
        let line = line(&progress);
        if self.is_terminal {
            self.has_line = true;
            print(format_args!("\r\x1b[K{line}"));
        } else {
            print(format_args!("{line}\n"));
        }
    }

    /// Ends the line of progress, so that other lines can follow.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.has_line) {
            print(format_args!("\r\x1b[K"));
        }
    }
}

/// Writes to the standard error, whose end may be closed.
fn print(text: std::fmt::Arguments<'_>) {
    let mut to = std::io::stderr().lock();
    // Nothing can be done about it, and copying goes on.
    let _ = to.write_fmt(text).and_then(|()| to.flush());
}

fn line(progress: &Progress) -> String {
    let doing = match progress.phase {
        Phase::Checking => "checking streams",
        Phase::Copying => "copying",
        Phase::Comparing => "comparing",
    };
    let (share, rate) = (progress.thousandths(), progress.rate());
    let left = progress.remaining().map_or_else(String::new, |left| {
        let seconds = left.as_secs();
        format!(", {}:{:02} left", seconds / 60, seconds % 60)
    });
    let (events, at, end) = (progress.events, progress.at.position(), progress.end.position());
    format!(
        "{doing}: {}.{} %, {events} events, {rate} events/s{left} (position {at} of {end})",
        share / 10,
        share % 10
    )
}
