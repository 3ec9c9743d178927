use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// What clients have sent and seen, by the ids that they have given to the events.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// When each part that has begun did so, the latest last.
    phases: Vec<(Instant, Phase)>,
    sent: HashMap<Uuid, Sent>,
    followers: Vec<Account>,
    counts: Counts,
    acknowledged: [Vec<Duration>; PHASES],
    delivered: [Vec<Duration>; PHASES],
    problems: Vec<String>,
}

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    During,
    After,
}

pub(crate) const PHASES: usize = 3;

/// An event that a client has sent.
#[derive(Debug)]
struct Sent {
    /// When it was due: an append that has to wait for the one before counts as late.
    due: Instant,
    phase: Phase,
    is_acknowledged: bool,
    /// The cursor under which the first follower has seen it.
    cursor: Option<String>,
}

/// What one follower has seen.
#[derive(Debug, Default)]
struct Account {
    /// How often.
    seen: HashMap<Uuid, u64>,
    last_cursor: String,
}

/// Deliveries are counted for each follower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// Attempts that were not acknowledged and were repeated with the same id.
    pub(crate) failed_attempts: u64,
    pub(crate) delivered: u64,
    /// Streams that ended and were opened again after the last id.
    pub(crate) resumed: u64,
    /// Acknowledged, and not delivered.
    pub(crate) lost: u64,
    /// Delivered again.
    pub(crate) repeated: u64,
    /// Not after the event before, or not at the same place for all followers.
    pub(crate) disordered: u64,
    /// Delivered, and never sent.
    pub(crate) invented: u64,
}

/// How long events took, of each part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) acknowledged: [Vec<Duration>; PHASES],
    pub(crate) delivered: [Vec<Duration>; PHASES],
}

impl Ledger {
    pub(crate) fn new(followers: usize) -> Self {
        Self {
            phases: Vec::new(),
            sent: HashMap::new(),
            followers: (0..followers).map(|_| Account::default()).collect(),
            counts: Counts::default(),
            acknowledged: Default::default(),
            delivered: Default::default(),
            problems: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, phase: Phase, now: Instant) {
        self.phases.push((now, phase));
    }

    /// A client is about to send an event, which was due then.
    pub(crate) fn send(&mut self, id: Uuid, due: Instant) {
        let begun = self.phases.iter().rev().find(|(began, _)| *began <= due);
        let phase = begun.map_or(Phase::Before, |(_, phase)| *phase);
        let sent = Sent { due, phase, is_acknowledged: false, cursor: None };
        let before = self.sent.insert(id, sent);
        assert!(before.is_none(), "ids are used once");
        self.counts.sent += 1;
    }

    pub(crate) fn acknowledge(&mut self, id: Uuid, now: Instant) {
        let sent = self.sent.get_mut(&id).expect("an event that was sent");
        sent.is_acknowledged = true;
        self.acknowledged[sent.phase.index()].push(now - sent.due);
        self.counts.acknowledged += 1;
    }

    pub(crate) fn fail(&mut self) {
        self.counts.failed_attempts += 1;
    }

    /// A follower has seen an event.
    pub(crate) fn deliver(&mut self, follower: usize, id: Uuid, cursor: &str, now: Instant) {
        let account = &mut self.followers[follower];
        // Cursors sort as text.
        let mut in_order = *account.last_cursor < *cursor;
        cursor.clone_into(&mut account.last_cursor);
        self.counts.delivered += 1;
        match account.seen.entry(id) {
            Entry::Occupied(mut seen) => {
                *seen.get_mut() += 1;
                self.counts.repeated += 1;
                // Counted once.
                return;
            }
            Entry::Vacant(unseen) => unseen.insert(1),
        };
        match self.sent.get_mut(&id) {
            Some(sent) => {
                self.delivered[sent.phase.index()].push(now - sent.due);
                let first = sent.cursor.get_or_insert_with(|| cursor.to_owned());
                in_order &= first == cursor;
            }
            None => self.counts.invented += 1,
        }
        self.counts.disordered += u64::from(!in_order);
    }

    pub(crate) fn resume(&mut self) {
        self.counts.resumed += 1;
    }

    /// Something that must not happen, and ends a client.
    pub(crate) fn report(&mut self, problem: String) {
        self.problems.push(problem);
    }

    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The counts so far. What is lost is not known before the end.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The counts at the end, when what is still missing is lost.
    pub(crate) fn close(&self) -> Counts {
        Counts { lost: self.missing(), ..self.counts }
    }

    /// How many deliveries of acknowledged events are still missing.
    pub(crate) fn missing(&self) -> u64 {
        let acknowledged = self.sent.iter().filter(|(_, sent)| sent.is_acknowledged);
        let missing = |id| self.followers.iter().filter(move |one| !one.seen.contains_key(id));
        let missing: usize = acknowledged.map(|(id, _)| missing(id).count()).sum();
        u64::try_from(missing).unwrap_or(u64::MAX)
    }

    pub(crate) fn times(&self) -> Times {
        let (acknowledged, delivered) = (self.acknowledged.clone(), self.delivered.clone());
        Times { acknowledged, delivered }
    }
}

impl Phase {
    fn index(self) -> usize {
        match self {
            Self::Before => 0,
            Self::During => 1,
            Self::After => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLLOWERS: usize = 2;

    /// A run of ten events, all acknowledged, of which each follower sees what it says.
    fn run(seen: impl Fn(usize, Vec<u128>) -> Vec<u128>) -> Counts {
        let mut ledger = Ledger::new(FOLLOWERS);
        let now = Instant::now();
        for number in 1..=10 {
            ledger.send(Uuid::from_u128(number), now);
            ledger.acknowledge(Uuid::from_u128(number), now);
        }
        for follower in 0..FOLLOWERS {
            for number in seen(follower, (1..=10).collect()) {
                ledger.deliver(follower, Uuid::from_u128(number), &format!("{number:016x}"), now);
            }
        }
        ledger.close()
    }

    const CLEAN: Counts = Counts {
        sent: 10,
        acknowledged: 10,
        failed_attempts: 0,
        delivered: 20,
        resumed: 0,
        lost: 0,
        repeated: 0,
        disordered: 0,
        invented: 0,
    };

    #[test]
    fn a_run_without_faults_is_clean() {
        assert_eq!(run(|_, all| all), CLEAN);
    }

    #[test]
    fn an_event_that_one_follower_does_not_see_is_lost() {
        let counts = run(|follower, mut all| {
            all.retain(|number| follower == 0 || *number != 4);
            all
        });
        assert_eq!(counts, Counts { delivered: 19, lost: 1, ..CLEAN });
    }

    #[test]
    fn an_event_that_comes_again_is_repeated() {
        let counts = run(|follower, mut all| {
            if follower == 1 {
                all.push(7);
            }
            all
        });
        assert_eq!(counts, Counts { delivered: 21, repeated: 1, ..CLEAN });
    }

    #[test]
    fn events_out_of_order_and_of_strangers_are_noticed() {
        let counts = run(|follower, mut all| {
            if follower == 0 {
                all.swap(2, 3);
                all.push(11);
            }
            all
        });
        assert_eq!(counts, Counts { delivered: 21, disordered: 1, invented: 1, ..CLEAN });
    }

    #[test]
    fn followers_have_to_see_an_event_at_the_same_place() {
        let mut ledger = Ledger::new(FOLLOWERS);
        let (now, id) = (Instant::now(), Uuid::from_u128(1));
        ledger.send(id, now);
        ledger.deliver(0, id, "1", now);
        ledger.deliver(1, id, "2", now);
        assert_eq!(ledger.close().disordered, 1);
    }

    #[test]
    fn an_event_that_was_not_acknowledged_may_come_or_not() {
        let mut ledger = Ledger::new(FOLLOWERS);
        let (now, id) = (Instant::now(), Uuid::from_u128(1));
        ledger.send(id, now);
        ledger.deliver(0, id, "1", now);
        let counts = ledger.close();
        assert_eq!((counts.lost, counts.acknowledged, counts.delivered), (0, 0, 1));
    }

    #[test]
    fn times_belong_to_the_part_in_which_an_event_was_due() {
        let mut ledger = Ledger::new(1);
        let (now, later) = (Instant::now(), Duration::from_secs(2));
        let id = Uuid::from_u128(1);
        ledger.begin(Phase::During, now);
        ledger.begin(Phase::After, now + Duration::from_secs(1));
        // Sent late.
        ledger.send(id, now);
        ledger.acknowledge(id, now + later);
        ledger.deliver(0, id, "1", now + later * 2);
        let Times { acknowledged, delivered } = ledger.times();
        assert_eq!(acknowledged, [vec![], vec![later], vec![]]);
        assert_eq!(delivered, [vec![], vec![later * 2], vec![]]);
    }
}
