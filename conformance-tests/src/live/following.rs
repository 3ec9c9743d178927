use std::sync::{Arc, Mutex, PoisonError};

use downlink::Event;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::watch;

use super::board::{answer, other, removed, set};
use super::setup::{Log, Process, append};
use super::{Held, LiveFollower, LiveSetup};
use crate::faults::Relay;
use crate::{LawRun, tasks};

/// How many generated histories a combination of store and transport has to keep the law in.
const CASES: u32 = 12;

/// What happens while a client follows a query.
#[derive(Clone, Debug)]
enum Happening {
    Set {
        stream: u8,
        value: u32,
    },
    Remove {
        stream: u8,
    },
    Other,
    /// Appends at the same time, through another process.
    Race {
        streams: u8,
    },
    /// Waits until the client has the newest rows.
    Rest,
    /// Cuts every connection.
    Cut,
    /// Continues with another server, and ends the one before.
    OtherServer,
    /// The client stops or begins to read.
    Read {
        yes: bool,
    },
    /// The model is reset, and builds itself again.
    Reset,
    /// A further version of the model becomes the live one.
    NewVersion,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        12 => (0..12_u8, 0..20_u32).prop_map(|(stream, value)| Happening::Set { stream, value }),
        4 => (0..12_u8).prop_map(|stream| Happening::Remove { stream }),
        2 => Just(Happening::Other),
        3 => (1..6_u8).prop_map(|streams| Happening::Race { streams }),
        5 => Just(Happening::Rest),
        3 => Just(Happening::Cut),
        1 => Just(Happening::OtherServer),
        2 => any::<bool>().prop_map(|yes| Happening::Read { yes }),
        1 => Just(Happening::Reset),
        1 => Just(Happening::NewVersion),
    ]
}

/// **Law.** At each frame, the rows that a client holds are the answer of the query on the
/// model at that frame's cursor, which never goes back. At rest, they are the newest.
pub fn rows_are_the_answer_at_their_cursor(run: &LawRun, setup: &LiveSetup) {
    // Begins with some rows, so that changes are smaller than answers.
    let histories = vec(any_happening(), 10..40);
    run.cases(CASES, histories, async |happenings| {
        let mut world = World::open(setup).await;
        for happening in happenings {
            world.happens(happening).await;
        }
        world.ends().await;
    });
}

struct World {
    log: Log,
    relay: Relay,
    process: Process,
    version: u32,
    client: Client,
}

impl World {
    async fn open(setup: &LiveSetup) -> Self {
        let log = setup.open().await;
        let process = log.serve(&[1]).await;
        for stream in 0..12 {
            process.append(&name(stream), set(u32::from(stream))).await;
        }
        let relay = Relay::start(process.address).await.expect("a proxy");
        let client = Client::begin(log.follow(&relay));
        Self { log, relay, process, version: 1, client }
    }

    async fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Set { stream, value } => {
                self.process.append(&name(stream), set(value)).await;
            }
            Happening::Remove { stream } => {
                self.process.append(&name(stream), removed()).await;
            }
            Happening::Other => {
                self.process.append("other", other()).await;
            }
            Happening::Race { streams } => self.race(streams).await,
            Happening::Rest => self.rests().await,
            Happening::Cut => self.relay.cut(),
            Happening::OtherServer => {
                let next = self.log.serve(&[self.version]).await;
                self.relay.lead_to(next.address);
                std::mem::replace(&mut self.process, next).end().await;
            }
            Happening::Read { yes } => drop(self.client.reads.send_replace(yes)),
            Happening::Reset => {
                let handle = self.process.handles.last().expect("a model");
                let reset = tasks::soon("a model cannot be reset", handle.reset()).await;
                reset.expect("a reset");
            }
            Happening::NewVersion => {
                self.version += 1;
                let handle = self.log.project(&self.process.hub, self.version);
                let live = tasks::soon("a version never becomes live", handle.wait_live()).await;
                live.expect("a complete read model");
                self.process.handles.push(handle);
            }
        }
    }

    async fn race(&self, streams: u8) {
        let (ours, theirs) = (self.process.hub.clone(), self.log.hub().await);
        let racers = (0..streams).map(|stream| {
            let hub = if stream % 2 == 0 { ours.clone() } else { theirs.clone() };
            tokio::spawn(async move {
                for value in 0..4 {
                    append(&hub, &name(stream), set(value * 7 % 5)).await;
                }
            })
        });
        tasks::join(racers.collect::<Vec<_>>()).await;
        theirs.shutdown().await;
    }

    /// Waits until the client has the newest rows.
    async fn rests(&mut self) {
        self.client.reads.send_replace(true);
        let newest = answer(self.version, self.log.events().await.iter());
        let what = format!(
            "at rest, a client does not get the newest rows: check that every event which changes \
             the answer causes an evaluation; it should hold {newest:?}"
        );
        tasks::soon(what, self.client.holds(&newest)).await;
    }

    async fn ends(mut self) {
        self.rests().await;
        let log = self.log.events().await;
        let seen = self.client.seen();
        let mut version = 1;
        for pair in seen.windows(2) {
            assert!(
                pair[0].token.cursor <= pair[1].token.cursor,
                "the cursor went back from {} to {} without a reset",
                pair[0].token.cursor,
                pair[1].token.cursor
            );
        }
        for held in &seen {
            version = check(held, &log, version, self.version);
        }
        self.process.end().await;
    }
}

/// Compares rows with the answer at their cursor, of this version of the model or a later
/// one. Returns which it is.
fn check(held: &Held, log: &[Event], version: u32, newest: u32) -> u32 {
    let end = log.partition_point(|event| event.cursor() <= held.token.cursor);
    let of = |version| answer(version, log[..end].iter());
    (version..=newest).find(|version| of(*version) == held.rows).unwrap_or_else(|| {
        panic!(
            "the rows that a client holds are not the answer at their cursor {}: it holds {:?}, and \
             the answer is {:?}; read rows and checkpoint in one snapshot, and apply each change to \
             the rows that it is of",
            held.token.cursor,
            held.rows,
            of(newest)
        )
    })
}

fn name(stream: u8) -> String {
    format!("gate-{stream}")
}

/// A client that reads in a task while it may.
struct Client {
    reads: watch::Sender<bool>,
    /// How many frames came.
    frames: watch::Receiver<usize>,
    seen: Arc<Mutex<Vec<Held>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    fn begin(mut follower: Box<dyn LiveFollower>) -> Self {
        let (reads, mut may_read) = watch::channel(true);
        let (count, frames) = watch::channel(0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while may_read.wait_for(|yes| *yes).await.is_ok() {
                let Ok(held) = follower.next().await else { return };
                into.lock().unwrap_or_else(PoisonError::into_inner).push(held);
                count.send_modify(|count| *count += 1);
            }
        });
        Self { reads, frames, seen, task }
    }

    fn seen(&self) -> Vec<Held> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn holds(&mut self, rows: &[String]) {
        let has_them = || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.last().is_some_and(|held| held.rows == rows)
        };
        // An error means that the client has ended, which the time-out reports.
        if self.frames.wait_for(|_| has_them()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}
