use std::collections::HashMap;

use crate::events::{DIGITS, now};
use crate::report::{Latencies, Report};

/// Counts the events that all clients have received.
#[derive(Debug)]
pub(crate) struct Tally {
    connections: usize,
    deliveries: u64,
    closed: u64,
    /// The number of deliveries to report.
    target: Option<u64>,
    is_timed: bool,
    /// Nanoseconds from the append to a client.
    each: Vec<u64>,
    /// Nanoseconds from the append to the last client.
    last: Vec<u64>,
    /// The number of clients that have an event, by its time.
    arrived: HashMap<u64, usize>,
}

impl Tally {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            connections,
            deliveries: 0,
            closed: 0,
            target: None,
            is_timed: false,
            each: Vec::new(),
            last: Vec::new(),
            arrived: HashMap::new(),
        }
    }

    /// Counts from zero up to this number of deliveries, if there is one.
    pub(crate) fn begin(&mut self, target: u64, is_timed: bool) {
        self.report();
        self.target = (target > 0).then_some(target);
        self.is_timed = is_timed;
    }

    /// Counts the events in these bytes. Returns a report when the target is reached.
    #[expect(clippy::naive_bytecount, reason = "the compiler makes it fast enough")]
    pub(crate) fn count(&mut self, bytes: &[u8]) -> Option<Report> {
        let count = bytes.iter().filter(|byte| **byte == b'#').count();
        self.deliveries += u64::try_from(count).unwrap_or(u64::MAX);
        if self.is_timed && count > 0 {
            self.time(bytes);
        }
        self.target.filter(|target| self.deliveries >= *target)?;
        self.target = None;
        Some(self.report())
    }

    fn time(&mut self, bytes: &[u8]) {
        let now = u64::try_from(now().as_nanos()).unwrap_or(u64::MAX);
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'#') {
            let digits = bytes.get(at + 1..=at + DIGITS);
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            // Without a time if a read has ended within it, which is rare.
            let Some(sent) = digits.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
            self.arrive(sent, now.saturating_sub(sent));
        }
    }

    fn arrive(&mut self, sent: u64, nanos: u64) {
        self.each.push(nanos);
        let arrived = self.arrived.entry(sent).or_default();
        *arrived += 1;
        if *arrived == self.connections {
            self.arrived.remove(&sent);
            self.last.push(nanos);
        }
    }

    /// Counts the end of a connection. Returns a report if there was a target, which is
    /// not reached any more.
    pub(crate) fn close(&mut self) -> Option<Report> {
        self.closed += 1;
        self.target.take().map(|_| self.report())
    }

    /// What was received since the last report. An event that has not reached every client
    /// by then does not count as one that reached the last: some clients may have left.
    pub(crate) fn report(&mut self) -> Report {
        let report = Report {
            deliveries: self.deliveries,
            closed: self.closed,
            each: Latencies::of(&mut self.each),
            last: Latencies::of(&mut self.last),
        };
        self.deliveries = 0;
        self.each.clear();
        self.last.clear();
        self.arrived.clear();
        report
    }
}
