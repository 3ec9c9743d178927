use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::commit::{CommitOutcome, Driver, Facts, Linger, LogHead, Needs, Plan, Upkeep};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::{StreamId, Version};
use crate::memory::LogIndex;
use crate::store::{Page, ReadLog};

/// A step of a transaction at which something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DriverStep {
    Begin,
    /// Or the heads alone.
    Facts,
    Insert,
    Check,
    KeepUp,
    Commit,
}

/// What goes wrong at a step. A commit may be stored nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    Fails,
    /// Another writer holds the lock.
    IsBusy,
    /// Waits until it is [released](Script::release).
    Holds,
    Panics {
        stored: bool,
    },
    /// Never completes: only for drivers that are not blocking.
    Hangs {
        stored: bool,
    },
    /// The outcome is unknown: only for commits.
    IsUnknown {
        stored: bool,
    },
}

/// The log of a [`Scripted`] driver and its scripted faults. Clones share both.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(super) struct State {
    /// The stored events.
    pub(super) events: Vec<Event>,
    pub(super) notes: Vec<&'static str>,
    /// What each commit has stored: the types of its events, and its notes.
    pub(super) commits: Vec<Vec<String>>,
    pub(super) begun: usize,
    /// How often ids of events were looked up.
    pub(super) lookups: usize,
    pub(super) is_closed: bool,
    /// The pieces of upkeep that are left, and from how many on it is overdue.
    pub(super) upkeep: usize,
    pub(super) overdue_from: usize,
    /// How long a piece of upkeep takes.
    pub(super) upkeep_takes: Duration,
    is_held: bool,
    is_waiting: bool,
    faults: VecDeque<(DriverStep, Fault)>,
}

impl State {
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }
}

impl Script {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds faults for the next steps of this kind, one for each.
    pub(super) fn faults(&self, step: DriverStep, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults.into_iter().map(|fault| (step, fault)));
    }

    /// Blocks the beginning of transactions until [`release`](Self::release).
    pub(super) fn hold(&self) {
        self.state().is_held = true;
    }

    pub(super) fn release(&self) {
        self.state().is_held = false;
    }

    /// Waits until the condition holds.
    pub(super) async fn until(&self, is_so: impl Fn(&State) -> bool) {
        while !is_so(&self.state()) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a transaction is held.
    pub(super) async fn until_it_waits(&self) {
        self.until(|state| state.is_waiting).await;
    }

    fn next_fault(&self, step: DriverStep) -> Option<Fault> {
        let mut state = self.state();
        let at = state.faults.iter().position(|(at, _)| *at == step)?;
        state.faults.remove(at).map(|(_, fault)| fault)
    }
}

/// A driver with a list of events. Inserting an event of the type `Poison`
/// fails, and one of the type `Bomb` panics.
pub(super) struct Scripted<const BLOCKING: bool> {
    pub(super) script: Script,
    open: Option<Open>,
}

#[derive(Default)]
struct Open {
    events: Vec<Event>,
    notes: Vec<&'static str>,
}

impl<const BLOCKING: bool> Scripted<BLOCKING> {
    pub(super) fn new(script: &Script) -> Self {
        Self { script: script.clone(), open: None }
    }

    fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("`begin` comes first")
    }

    async fn pass(&self) {
        self.script.state().is_waiting = true;
        while self.script.state().is_held {
            if BLOCKING {
                std::thread::yield_now();
            } else {
                tokio::task::yield_now().await;
            }
        }
        self.script.state().is_waiting = false;
    }

    async fn step(&self, step: DriverStep) -> Result<()> {
        match self.script.next_fault(step) {
            None | Some(Fault::Nothing) => Ok(()),
            Some(Fault::IsBusy) => {
                Err(Error::new(ErrorKind::Busy, "another writer holds the lock"))
            }
            Some(Fault::Holds) => {
                self.script.hold();
                self.pass().await;
                Ok(())
            }
            Some(Fault::Panics { .. }) => panic!("{step:?} panics (injected by the test)"),
            Some(Fault::Hangs { .. }) => std::future::pending().await,
            Some(Fault::Fails | Fault::IsUnknown { .. }) => Err(failed()),
        }
    }

    fn store(&mut self) {
        let Open { mut events, mut notes } = self.open.take().expect("`begin` comes first");
        let mut state = self.script.state();
        let types = events.iter().map(|event| event.event_type().to_string());
        let stored = types.chain(notes.iter().map(ToString::to_string)).collect();
        state.commits.push(stored);
        state.events.append(&mut events);
        state.notes.append(&mut notes);
    }
}

fn failed() -> Error {
    Error::new(ErrorKind::Backend, "this step fails (injected by the test)")
}

impl<const BLOCKING: bool> Driver for Scripted<BLOCKING> {
    type Tx = Vec<&'static str>;

    const BLOCKING: bool = BLOCKING;
    const LINGER: Linger = if BLOCKING { Linger::InTransaction } else { Linger::BeforeBegin };

    const STORES_BLINDLY: bool = !BLOCKING;

    async fn begin(&mut self, _: Instant) -> Result<LogHead> {
        self.pass().await;
        self.step(DriverStep::Begin).await?;
        assert!(self.open.is_none(), "a transaction was left open");
        self.open = Some(Open::default());
        let mut state = self.script.state();
        state.begun += 1;
        let after = |event: &Event| LogHead::after(event.cursor(), event.recorded_at());
        Ok(state.events.last().map_or(LogHead::EMPTY, after))
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.step(DriverStep::Facts).await?;
        let mut facts = Facts::default();
        let mut state = self.script.state();
        state.lookups += 1;
        let open = self.open.as_ref().expect("`begin` comes first");
        // A driver whose transactions have one batch need not show what it has inserted.
        let inserted = if BLOCKING { &open.events[..] } else { &[] };
        for event in state.events.iter().chain(inserted) {
            facts.streams.insert(event.stream().clone(), event.version());
            if needs.ids.contains(&event.id()) {
                facts.events.insert(event.id(), event.clone());
            }
        }
        Ok(facts)
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        let index = LogIndex::new();
        let open = self.open.as_ref().expect("`begin` comes first");
        let inserted = if BLOCKING { &open.events[..] } else { &[] };
        let state = self.script.state();
        index.extend(state.events.iter().chain(inserted).map(|event| (event, event.clone())));
        index.read_log(&read, |_, event| Ok(event))
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.step(DriverStep::Insert).await?;
        for event in &plan.rows {
            match event.event_type().as_str() {
                "Poison" => return Err(failed()),
                "Bomb" => panic!("an event that panics (injected by the test)"),
                _ => self.open().events.push(event.clone()),
            }
        }
        Ok(())
    }

    async fn heads(&mut self, streams: &[&StreamId]) -> Result<HashMap<StreamId, Version>> {
        self.step(DriverStep::Facts).await?;
        let state = self.script.state();
        let known = state.events.iter().filter(|event| streams.contains(&event.stream()));
        Ok(known.map(|event| (event.stream().clone(), event.version())).collect())
    }

    async fn insert_new(&mut self, plan: &Plan) -> Result<bool> {
        // What is new is inserted in any case.
        self.insert(plan).await?;
        let state = self.script.state();
        let is_stored = |row: &Event| state.events.iter().any(|event| event.id() == row.id());
        Ok(!plan.rows.iter().any(is_stored))
    }

    fn has_waiters(&mut self) -> bool {
        false
    }

    async fn tx(&mut self) -> Result<&mut Self::Tx> {
        Ok(&mut self.open().notes)
    }

    async fn check(&mut self, head: LogHead) -> Result<()> {
        self.step(DriverStep::Check).await?;
        let open = self.open.as_ref().expect("`begin` comes first");
        let state = self.script.state();
        let last = state.events.iter().chain(&open.events).next_back();
        let found = last.map_or(crate::Cursor::START, Event::cursor);
        if found == head.cursor { Ok(()) } else { Err(failed()) }
    }

    async fn commit(&mut self) -> CommitOutcome {
        let fault = self.script.next_fault(DriverStep::Commit);
        let is_stored = match fault {
            None | Some(Fault::Nothing) => true,
            Some(Fault::Fails | Fault::IsBusy | Fault::Holds) => {
                return CommitOutcome::NotCommitted(failed());
            }
            Some(
                Fault::Panics { stored } | Fault::Hangs { stored } | Fault::IsUnknown { stored },
            ) => stored,
        };
        if is_stored {
            self.store();
        }
        match fault {
            Some(Fault::Panics { .. }) => panic!("the commit panics (injected by the test)"),
            Some(Fault::Hangs { .. }) => std::future::pending().await,
            Some(Fault::IsUnknown { .. }) => CommitOutcome::Unknown(failed()),
            _ => CommitOutcome::Committed,
        }
    }

    async fn discard(&mut self) {
        self.open = None;
    }

    fn upkeep(&self) -> Upkeep {
        match &*self.script.state() {
            State { upkeep: 0, .. } => Upkeep::None,
            State { upkeep, overdue_from: from @ 1.., .. } if upkeep >= from => Upkeep::Overdue,
            _ => Upkeep::Wanted,
        }
    }

    async fn keep_up(&mut self) -> Result<()> {
        self.step(DriverStep::KeepUp).await?;
        let takes = self.script.state().upkeep_takes;
        // Blocks, like real work.
        std::thread::sleep(takes);
        self.script.state().upkeep -= 1;
        self.open().notes.push("upkeep");
        Ok(())
    }

    async fn close(self) {
        self.script.state().is_closed = true;
    }
}
