use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use downlink::{Append, Appended, Cursor, Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::reader::closed;

/// The appends of one group may have this many bytes before it is closed.
const GROUP_BYTES: usize = 8 << 20;

/// An append on its way to the writer.
pub(crate) struct Job {
    pub(crate) append: Append,
    /// What readers have found of each of its boundaries.
    pub(crate) scans: Vec<Scan>,
    pub(crate) answer: Answer,
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

/// A place in the queue, given back when it is dropped.
struct Ticket {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.room.appends.fetch_sub(1, Ordering::AcqRel);
        self.room.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// What the appends that wait for an answer take up.
struct Room {
    appends: AtomicUsize,
    bytes: AtomicUsize,
    max_appends: usize,
    max_bytes: usize,
}

impl Room {
    fn enter(self: &Arc<Self>, bytes: usize) -> Result<Ticket> {
        let appends = self.appends.fetch_add(1, Ordering::AcqRel);
        let waiting = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let ticket = Ticket { room: Arc::clone(self), bytes };
        if appends >= self.max_appends
            || (waiting > 0 && waiting.saturating_add(bytes) > self.max_bytes)
        {
            drop(ticket);
            let message =
                format!("{appends} appends with {waiting} bytes wait already: repeat later");
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        Ok(ticket)
    }
}

/// The end of the queue where appends come in.
pub(crate) struct Entrance {
    /// `None` once the store is closed.
    jobs: RwLock<Option<Sender<Job>>>,
    room: Arc<Room>,
}

impl Entrance {
    /// Queues an append, or refuses it at once.
    pub(crate) fn queue(
        &self,
        append: Append,
        scans: Vec<Scan>,
    ) -> Result<oneshot::Receiver<Result<Appended>>> {
        let ticket = self.room.enter(append.size())?;
        let (reply, answered) = oneshot::channel();
        let job = Job { append, scans, answer: Answer { ticket, reply } };
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        match jobs.as_ref().ok_or_else(closed)?.try_send(job) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => {
                Err(Error::new(ErrorKind::Overloaded, "the queue is full: repeat later"))
            }
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
    }

    /// Lets nobody in any more. What waits is still served.
    pub(crate) fn close(&self) {
        *self.jobs.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("appends", &self.room.appends.load(Ordering::Relaxed))
            .field("bytes", &self.room.bytes.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The end of the queue where groups come out.
pub(crate) struct Exit {
    jobs: Receiver<Job>,
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
    (max_appends, max_bytes): (usize, usize),
    group_events: usize,
    linger: Duration,
) -> (Entrance, Exit) {
    let (sender, jobs) = bounded(max_appends);
    let (appends, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let room = Arc::new(Room { appends, bytes, max_appends, max_bytes });
    let (last, present, deadline) = (0, Load::default(), None);
    (
        Entrance { jobs: RwLock::new(Some(sender)), room },
        Exit { jobs, group_events, linger, last, present, deadline },
    )
}

impl Exit {
    /// Waits for appends and takes those that wait, for a new transaction;
    /// `None` when the queue is closed and empty.
    pub(crate) fn group(&mut self) -> Option<Vec<Job>> {
        self.last = self.present.appends;
        self.present = Load::default();
        self.deadline = None;
        let first = self.jobs.recv().ok()?;
        Some(self.take_with(first))
    }

    /// Takes what has arrived since, for the same transaction. Waits a little
    /// if fewer are in it than in the last: those that were answered with it
    /// are likely on their way, and a lone appender has none to wait for.
    pub(crate) fn more(&mut self) -> Option<Vec<Job>> {
        if self.present.appends >= self.last || self.is_full() {
            return None;
        }
        let linger = self.linger;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + linger);
        let first = self.jobs.recv_deadline(deadline).ok()?;
        Some(self.take_with(first))
    }

    /// Takes this one and what waits behind it.
    fn take_with(&mut self, first: Job) -> Vec<Job> {
        self.present.add(&first);
        let mut jobs = vec![first];
        while !self.is_full() {
            let Ok(job) = self.jobs.try_recv() else { break };
            self.present.add(&job);
            jobs.push(job);
        }
        jobs
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
