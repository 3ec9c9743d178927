use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use downlink::{Append, Appended, Cursor, Error, ErrorKind, Result};
use downlink_sqlite_schema::{Room, Ticket};
use futures::future::BoxFuture;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::reader::closed;
use crate::writer::Writer;

/// The appends of one group may have this many bytes before it is closed.
const GROUP_BYTES: usize = 8 << 20;

/// An append on its way to the writer.
pub(crate) struct Job {
    pub(crate) append: Append,
    /// What readers have found of each of its boundaries.
    pub(crate) scans: Vec<Scan>,
    pub(crate) answer: Answer,
}

/// What the writer does in between, in a transaction of its own.
pub(crate) type Errand = Box<dyn FnOnce(&mut Writer) -> BoxFuture<'_, ()> + Send>;

/// Whatever waits for the writer.
pub(crate) enum Entry {
    Append(Job),
    Errand(Errand),
}

/// What the writer does next.
pub(crate) enum Next {
    Appends(Vec<Job>),
    Errand(Errand),
}

/// How far a boundary was looked at before the append was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Not at all.
    NotYet,
    /// Nothing that matches came up to here.
    ClearUpTo(Cursor),
    /// This is the first event that matches.
    Found(Cursor),
}

/// Where the outcome of an append goes.
pub(crate) struct Answer {
    ticket: Ticket,
    reply: oneshot::Sender<Result<Appended>>,
}

impl Answer {
    pub(crate) fn send(self, outcome: Result<Appended>) {
        // The place in the queue is free before its owner can ask for the next.
        drop(self.ticket);
        // Nobody may be waiting any more.
        let _ = self.reply.send(outcome);
    }
}

/// The end of the queue where appends and errands come in.
pub(crate) struct Entrance {
    /// `None` once the store is closed.
    entries: RwLock<Option<Sender<Entry>>>,
    room: Arc<Room>,
}

impl Entrance {
    /// Queues an append, or refuses it at once.
    pub(crate) fn queue(
        &self,
        append: Append,
        scans: Vec<Scan>,
    ) -> Result<oneshot::Receiver<Result<Appended>>> {
        let ticket = self.enter(append.size())?;
        let (reply, answered) = oneshot::channel();
        let job = Job { append, scans, answer: Answer { ticket, reply } };
        self.send(Entry::Append(job))?;
        Ok(answered)
    }

    /// Takes a place for something of so many bytes, or refuses it at once.
    pub(crate) fn enter(&self, bytes: usize) -> Result<Ticket> {
        self.room.enter(bytes)
    }

    /// Queues what has its place.
    pub(crate) fn send(&self, entry: Entry) -> Result<()> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        match entries.as_ref().ok_or_else(closed)?.try_send(entry) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Error::new(ErrorKind::Overloaded, "the queue is full: repeat later"))
            }
            Err(TrySendError::Closed(_)) => Err(closed()),
        }
    }

    /// Lets nobody in any more. What waits is still served.
    pub(crate) fn close(&self) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("room", &self.room).finish_non_exhaustive()
    }
}

/// The end of the queue where groups and errands come out.
pub(crate) struct Exit {
    entries: Receiver<Entry>,
    /// The errand that ended a group: the next that is done.
    held: Option<Errand>,
    group_events: usize,
    linger: Duration,
    /// How many appends the last transaction had.
    last: usize,
    /// What the present one has.
    present: Load,
    /// When the present one stops to wait for more.
    deadline: Option<Instant>,
}

/// A queue of so many appends and bytes.
pub(crate) fn queue(
    (max_entries, max_bytes): (usize, usize),
    group_events: usize,
    linger: Duration,
) -> (Entrance, Exit) {
    let (sender, receiver) = channel(max_entries);
    let room = Room::new(max_entries, max_bytes);
    let exit = Exit {
        entries: receiver,
        held: None,
        group_events,
        linger,
        last: 0,
        present: Load::default(),
        deadline: None,
    };
    (Entrance { entries: RwLock::new(Some(sender)), room }, exit)
}

impl Exit {
    /// Waits for an errand, or for appends, of which it takes those that wait
    /// for a new transaction; `None` when the queue is closed and empty.
    pub(crate) async fn next(&mut self) -> Option<Next> {
        if let Some(errand) = self.held.take() {
            return Some(Next::Errand(errand));
        }
        let first = match self.entries.recv().await? {
            Entry::Append(job) => job,
            Entry::Errand(errand) => return Some(Next::Errand(errand)),
        };
        self.last = self.present.appends;
        self.present = Load::default();
        self.deadline = None;
        Some(Next::Appends(self.take_with(first)))
    }

    /// Takes what has arrived since, for the same transaction. Waits a little
    /// if fewer are in it than in the last: those that were answered with it
    /// are likely on their way, and a lone appender has none to wait for.
    pub(crate) async fn more(&mut self) -> Option<Vec<Job>> {
        if self.present.appends >= self.last || self.is_full() || self.held.is_some() {
            return None;
        }
        let linger = self.linger;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + linger);
        let entry = self.arrival(deadline).await?;
        self.job(entry).map(|first| self.take_with(first))
    }

    /// The next entry, if it comes in time. The runtime's clock counts in
    /// milliseconds: this lets others run until then, of whom some may append.
    async fn arrival(&mut self, deadline: Instant) -> Option<Entry> {
        loop {
            match self.entries.try_recv() {
                Ok(entry) => return Some(entry),
                Err(TryRecvError::Empty) if Instant::now() < deadline => yield_now().await,
                Err(_) => return None,
            }
        }
    }

    /// Takes this one and what waits behind it.
    fn take_with(&mut self, first: Job) -> Vec<Job> {
        self.present.add(&first);
        let mut jobs = vec![first];
        while !self.is_full() {
            let Some(job) = self.entries.try_recv().ok().and_then(|entry| self.job(entry)) else {
                break;
            };
            self.present.add(&job);
            jobs.push(job);
        }
        jobs
    }

    /// The append, or an errand is held until the group is done: nobody
    /// overtakes it.
    fn job(&mut self, entry: Entry) -> Option<Job> {
        match entry {
            Entry::Append(job) => Some(job),
            Entry::Errand(errand) => {
                self.held = Some(errand);
                None
            }
        }
    }

    fn is_full(&self) -> bool {
        self.present.events >= self.group_events || self.present.bytes >= GROUP_BYTES
    }
}

/// What the appends of one transaction amount to.
#[derive(Default)]
struct Load {
    appends: usize,
    events: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, job: &Job) {
        self.appends += 1;
        self.events += job.append.events().count();
        self.bytes += job.append.size();
    }
}
