use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use terminal::errln;

use super::load_report::per_second;

const STYLE: &str = "{bar:40} {percent:>3}% of {human_len} {prefix}, {msg}";

/// Reports progress: with a bar, with lines, or not at all.
#[derive(Debug)]
pub struct Progress {
    output: Output,
    /// What is counted, in plural.
    unit: &'static str,
    all: u64,
    finished: u64,
    events: u64,
    began: Instant,
}

#[derive(Debug)]
enum Output {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl Progress {
    /// Reports to standard error: with a bar if it is a terminal, otherwise with a line for
    /// every tenth.
    ///
    /// # Panics
    ///
    /// Never: the template of the bar is valid.
    #[must_use]
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::of(Output::Lines);
        }
        let style = ProgressStyle::with_template(STYLE).expect("the template is valid");
        Self::of(Output::Bar(ProgressBar::no_length().with_style(style)))
    }

    /// Reports nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::of(Output::Nothing)
    }

    fn of(output: Output) -> Self {
        Self { output, unit: "", all: 0, finished: 0, events: 0, began: Instant::now() }
    }

    /// Reports a step before counting starts.
    pub(super) fn prepare(&self, what: String) {
        match &self.output {
            Output::Bar(bar) => bar.set_message(what),
            Output::Lines => errln!("{what}"),
            Output::Nothing => {}
        }
    }

    /// Starts counting `all` units, of which some are already finished.
    pub(super) fn begin(&mut self, unit: &'static str, all: u64, finished: u64) {
        (self.unit, self.all, self.finished, self.began) = (unit, all, finished, Instant::now());
        if let Output::Bar(bar) = &self.output {
            bar.set_prefix(unit);
            bar.set_length(all);
            bar.set_position(finished);
        }
    }

    /// Adds processed events and finished units.
    pub(super) fn advance(&mut self, events: u64, finished: u64) {
        let before = self.tenths();
        self.events += events;
        self.finished += finished;
        match &self.output {
            Output::Bar(bar) => {
                bar.set_position(self.finished);
                bar.set_message(self.message());
            }
            Output::Lines if self.tenths() > before => {
                errln!("{:3}% of the {}, {}", self.tenths() * 10, self.unit, self.message());
            }
            Output::Lines | Output::Nothing => {}
        }
    }

    /// Ends the report.
    pub(super) fn end(&self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    fn tenths(&self) -> u64 {
        self.finished * 10 / self.all.max(1)
    }

    fn message(&self) -> String {
        let speed = per_second(self.events, self.began.elapsed());
        format!("{} events, {} events/s", HumanCount(self.events), HumanCount(speed))
    }
}
