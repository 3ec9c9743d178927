use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use downlink::EventId;
use downlink::decider::{CommandId, Snapshot, SnapshotKey, SnapshotStore};
use downlink::event::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::executors::{Log, MAX_BYTES, SCHEMA, snapshots};
use super::tally::{Delay, Tally, any_delay, any_tally};
use crate::fixture::{SnapshotFixture, SnapshotPlace};
use crate::run::LawRun;
use crate::sample::stream;

/// Similar names, so that keys collide.
const FLIGHTS: [&str; 2] = ["flight-UA1545", "Flight-UA1545"];

/// How many commands there are for each flight. Some are repeated.
const COMMANDS: usize = 10;

#[derive(Clone, Debug)]
enum Step {
    Execute { tally: Tally, flight: usize, command: usize, delay: Delay },
    Damage { tally: Tally, flight: usize, damage: Damage },
    BackUp,
    Restore,
    Reopen,
}

/// What a snapshot store may return in place of the newest snapshot. Those with
/// a wrong state must not be used.
#[derive(Clone, Debug)]
enum Damage {
    /// An older one.
    Old,
    /// Two processes save at the same time.
    Raced,
    OfAnotherSchema,
    OfAnotherStream,
    OfAnotherVersion,
    /// Of a history in which another event is there.
    OfAnotherEvent,
    /// Of a history in which the same event was recorded at another time.
    OfAnotherTime,
    Truncated,
    Garbage(Vec<u8>),
    TooLarge,
}

fn any_step() -> impl Strategy<Value = Step> {
    let execute = (any_tally(), 0..FLIGHTS.len(), 0..COMMANDS, any_delay()).prop_map(
        |(tally, flight, command, delay)| Step::Execute { tally, flight, command, delay },
    );
    let damage = (any_tally(), 0..FLIGHTS.len(), any_damage())
        .prop_map(|(tally, flight, damage)| Step::Damage { tally, flight, damage });
    prop_oneof![
        8 => execute,
        4 => damage,
        1 => Just(Step::BackUp),
        1 => Just(Step::Restore),
        1 => Just(Step::Reopen),
    ]
}

fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Old),
        Just(Damage::Raced),
        Just(Damage::OfAnotherSchema),
        Just(Damage::OfAnotherStream),
        Just(Damage::OfAnotherVersion),
        Just(Damage::OfAnotherEvent),
        Just(Damage::OfAnotherTime),
        Just(Damage::Truncated),
        vec(any::<u8>(), 0..40).prop_map(Damage::Garbage),
        Just(Damage::TooLarge),
    ]
}

/// **Law.** A command has the same answer with snapshots as without, whatever
/// became of them: missing, old, of another schema version, stream or history,
/// truncated, garbage, too large, saved twice at a time; also after the log was
/// restored from a backup, and commands were repeated.
pub fn a_snapshot_never_changes_an_answer(run: &LawRun, fixture: &dyn SnapshotFixture) {
    run.cases(48, (1..4_u64, vec(any_step(), 1..60)), async |(every, steps)| {
        let mut world = World::new(fixture, every).await;
        for step in steps {
            world.make(step).await;
        }
    });
}

/// Two logs on which the same happens, one of them with snapshots.
struct World {
    plain: Log,
    log: Log,
    every: u64,
    ids: [[CommandId; COMMANDS]; FLIGHTS.len()],
    place: Box<dyn SnapshotPlace>,
    store: Option<Arc<dyn SnapshotStore>>,
    /// The snapshots that executors have saved.
    good: HashMap<SnapshotKey, Vec<Snapshot>>,
    /// What was saved by this law in place of one of those.
    damaged: HashMap<SnapshotKey, Snapshot>,
}

impl World {
    async fn new(fixture: &dyn SnapshotFixture, every: u64) -> Self {
        let place = fixture.create().await.expect("a place for snapshots");
        let store = place.open().await.expect("the place to open");
        Self {
            plain: Log::new().await,
            log: Log::new().await,
            every,
            ids: [(); FLIGHTS.len()].map(|()| [(); COMMANDS].map(|()| CommandId::now())),
            place,
            store: Some(store),
            good: HashMap::new(),
            damaged: HashMap::new(),
        }
    }

    fn store(&self) -> &Arc<dyn SnapshotStore> {
        self.store.as_ref().expect("a store that is open")
    }

    async fn make(&mut self, step: Step) {
        match step {
            Step::Execute { tally, flight, command, delay } => {
                self.execute(tally, flight, command, delay).await;
            }
            Step::Damage { tally, flight, damage } => {
                self.damage(key(tally, flight), key(tally, 1 - flight), damage).await;
            }
            Step::BackUp => {
                self.plain.back_up();
                self.log.back_up();
            }
            Step::Restore => {
                self.plain.restore();
                self.log.restore();
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(self.place.open().await.expect("the place to open again"));
            }
        }
    }

    async fn execute(&mut self, tally: Tally, flight: usize, command: usize, delay: Delay) {
        let key = key(tally, flight);
        let what = (&key.stream, self.ids[flight][command]);
        let expected = self.plain.execute(None, tally, what, delay).await;
        let snapshots = snapshots(self.store(), tally, self.every);
        let answer = self.log.execute(Some(snapshots), tally, what, delay).await;
        assert_eq!(
            answer, expected,
            "a snapshot has changed the answer to {delay:?} on `{}`: return what was saved under a \
             key whole, or nothing",
            key.stream
        );
        let saved = self.load(&key).await;
        if let Some(saved) = saved.filter(|saved| self.damaged.get(&key) != Some(saved)) {
            self.good.entry(key).or_default().push(saved);
        }
    }

    async fn load(&self, key: &SnapshotKey) -> Option<Snapshot> {
        self.store().load(key, MAX_BYTES).await.expect("a snapshot or none")
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) {
        self.store().save(key, snapshot).await.expect("a snapshot to be saved");
    }

    async fn damage(&mut self, key: SnapshotKey, other: SnapshotKey, damage: Damage) {
        let of_other = self.good.get(&other).and_then(|good| good.last()).cloned();
        let Some(good) = self.good.get(&key) else { return };
        let (first, last) = (good[0].clone(), good[good.len() - 1].clone());
        let wrong = || Snapshot { state: wrong_state(), ..last.clone() };
        let damaged = match damage {
            Damage::Old => return self.save(&key, first).await,
            Damage::Raced => {
                tokio::join!(self.save(&key, last), self.save(&key, first));
                return;
            }
            Damage::OfAnotherSchema => Snapshot { schema: SCHEMA - 1, ..wrong() },
            Damage::OfAnotherStream => match of_other {
                Some(of_other) => Snapshot { state: wrong_state(), ..of_other },
                None => return,
            },
            Damage::OfAnotherVersion => Snapshot { version: last.version.next(), ..wrong() },
            Damage::OfAnotherEvent => Snapshot { event: EventId::now(), ..wrong() },
            Damage::OfAnotherTime => Snapshot { recorded_at: Timestamp::EPOCH, ..wrong() },
            Damage::Truncated => {
                Snapshot { state: last.state.slice(..last.state.len() - 1), ..last }
            }
            Damage::Garbage(bytes) => Snapshot { state: bytes.into(), ..last },
            Damage::TooLarge => {
                let spaces = [b' '; MAX_BYTES];
                let state = [&wrong_state()[..], &spaces].concat().into();
                Snapshot { state, ..wrong() }
            }
        };
        self.save(&key, damaged.clone()).await;
        self.damaged.insert(key, damaged);
    }
}

fn key(tally: Tally, flight: usize) -> SnapshotKey {
    SnapshotKey { stream: stream(FLIGHTS[flight]), name: tally.name().to_owned() }
}

fn wrong_state() -> Bytes {
    Bytes::from_static(br#"{"sum":100000}"#)
}
