use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use downlink::{Error, ErrorKind, Result};

use crate::permissions::{self, NotRegular};

/// A fair lock for the writers of one database: first come, first served, across
/// processes.
///
/// SQLite's own lock is not fair: while one process writes without a pause,
/// another may wait for seconds. Here a writer first locks a *gate*, then waits
/// for the *turn*, and unlocks the gate once it has the turn. A process that has
/// just written finds the gate locked and queues behind the one that waits.
///
/// Both are locks on files of their own next to the database, `flights.db-gate`
/// and `flights.db-turn`. The files are empty, are never removed, and are not part
/// of a backup. The operating system releases the locks of a process that ends.
/// They provide fairness only: SQLite's lock keeps the database safe, even if the
/// two files are removed.
///
/// Each `FairLock` has its own place in the queue, also within one process.
///
/// # Threads
///
/// File locks have no deadline, so a thread of the `FairLock` waits for them. It
/// is started by the first call that has to wait and ends when the `FairLock` is
/// dropped. If it is waiting at that moment, for example for a suspended
/// program, it ends when that program continues or exits. There is at most one
/// thread for each `FairLock`.
#[derive(Debug)]
pub struct FairLock {
    shared: Arc<Shared>,
}

/// The right to write. Dropping it releases the lock.
#[derive(Debug)]
#[must_use]
pub struct FairLockGuard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    database: PathBuf,
    gate: File,
    turn: File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// How many callers wait in [`FairLock::lock`].
    waiters: usize,
    thread: Option<JoinHandle<()>>,
    is_closed: bool,
}

/// How far this `FairLock` is, and so which part of it holds the file locks.
#[derive(Debug)]
enum Stage {
    /// Nothing is locked or waited for.
    Unlocked,
    /// The thread waits for other writers.
    Waiting,
    /// The thread has the turn, or has failed.
    Acquired(Result<()>),
    /// There is a [`FairLockGuard`].
    Held,
}

impl FairLock {
    /// The lock of this database. Creates its two files if they do not exist, with
    /// the owner and mode of the database where the system permits it.
    ///
    /// # Errors
    ///
    /// - [`Unavailable`](ErrorKind::Unavailable) if the folder does not exist or is
    ///   read-only, if one of the two files belongs to another user, is a link or has
    ///   other names, or if the system opens no more files;
    /// - [`Backend`](ErrorKind::Backend) if the file system has no locks.
    pub fn open(database: &Path) -> Result<Self> {
        let real = real(database);
        let shared = Shared {
            gate: open(&real, "-gate")?,
            turn: open(&real, "-turn")?,
            database: real,
            state: Mutex::new(State {
                stage: Stage::Unlocked,
                waiters: 0,
                thread: None,
                is_closed: false,
            }),
            changed: Condvar::new(),
        };
        // Reports missing support for file locks here and not at the first append.
        if shared.try_lock_file(&shared.gate)? {
            unlock(&shared.gate);
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Locks if no writer holds the lock or waits for it. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if the system refuses to lock.
    pub fn try_lock(&self) -> Result<Option<FairLockGuard>> {
        let locked = self.shared.try_lock(&mut self.shared.state())?;
        Ok(locked.then(|| self.guard()))
    }

    /// Waits for the lock on the calling thread; `None` if the deadline passes
    /// first. The place in the queue is kept for a while after that, so a caller
    /// that soon tries again is not behind later ones.
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if the system refuses to lock,
    /// [`Unavailable`](ErrorKind::Unavailable) if it cannot start a thread.
    pub fn lock(&self, deadline: Instant) -> Result<Option<FairLockGuard>> {
        let mut state = self.shared.state();
        if self.shared.try_lock(&mut state)? {
            return Ok(Some(self.guard()));
        }
        state.waiters += 1;
        let locked = loop {
            if let Stage::Acquired(_) = state.stage {
                break state.take_acquired().map(|()| true);
            }
            if let Stage::Unlocked = state.stage
                && let Err(error) = self.start_waiting(&mut state)
            {
                break Err(error);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Ok(false);
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        };
        state.waiters -= 1;
        Ok(locked?.then(|| self.guard()))
    }

    /// Has the thread wait for the lock.
    fn start_waiting(&self, state: &mut State) -> Result<()> {
        if state.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("downlink-lock".into());
            let thread = thread.spawn(move || shared.serve()).map_err(|error| {
                let message = "the system cannot start a thread that waits for other writers";
                Error::with_source(ErrorKind::Unavailable, message, error)
            })?;
            state.thread = Some(thread);
        }
        state.stage = Stage::Waiting;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn guard(&self) -> FairLockGuard {
        FairLockGuard { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for FairLock {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        self.shared.changed.notify_all();
        let thread = state.thread.take();
        let is_waiting = matches!(state.stage, Stage::Waiting);
        drop(state);
        // A thread that waits for other writers may do so for any length of time.
        if let Some(thread) = thread
            && !is_waiting
        {
            drop(thread.join());
        }
    }
}

impl FairLockGuard {
    /// Whether another writer waits for the lock, so that this one should end
    /// soon. Costs about as much as [`FairLock::try_lock`].
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        if self.shared.state().waiters > 0 {
            return true;
        }
        // A writer that waits for the turn keeps the gate locked.
        match self.shared.gate.try_lock() {
            Ok(()) => unlock(&self.shared.gate),
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Error(_)) => {}
        }
        false
    }
}

impl Drop for FairLockGuard {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        unlock(&self.shared.turn);
        state.stage = Stage::Unlocked;
        if state.waiters > 0 {
            self.shared.changed.notify_all();
        }
    }
}

impl State {
    fn take_acquired(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.stage, Stage::Held) {
            Stage::Acquired(Err(error)) => {
                self.stage = Stage::Unlocked;
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self, state: &mut State) -> Result<bool> {
        let is_free = matches!(state.stage, Stage::Unlocked) && state.waiters == 0;
        if !is_free || !self.try_lock_file(&self.gate)? {
            return Ok(false);
        }
        let locked = self.try_lock_file(&self.turn);
        unlock(&self.gate);
        if let Ok(true) = locked {
            state.stage = Stage::Held;
        }
        locked
    }

    /// What the thread does: waits for the turn whenever a caller needs it.
    fn serve(&self) {
        loop {
            let mut state = self.state();
            while !matches!(state.stage, Stage::Waiting) {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let acquired = self.lock_turn();
            self.hand_over(&mut self.state(), acquired);
        }
    }

    fn lock_turn(&self) -> Result<()> {
        self.lock_file(&self.gate)?;
        let locked = self.lock_file(&self.turn);
        unlock(&self.gate);
        locked
    }

    /// Gives the turn to a caller that waits here, or releases it to other
    /// processes.
    fn hand_over(&self, state: &mut State, acquired: Result<()>) {
        if state.waiters > 0 {
            state.stage = Stage::Acquired(acquired);
            self.changed.notify_all();
            return;
        }
        if acquired.is_ok() {
            unlock(&self.turn);
        }
        state.stage = Stage::Unlocked;
    }

    fn lock_file(&self, file: &File) -> Result<()> {
        loop {
            match file.lock() {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
    }

    fn try_lock_file(&self, file: &File) -> Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: io::Error) -> Error {
        let message = format!(
            "the file system cannot lock the files next to {}: put the database on a local disk",
            self.database.display()
        );
        Error::with_source(ErrorKind::Backend, message, error)
    }
}

/// Unlocking a lock that is held does not fail.
fn unlock(file: &File) {
    let _ = file.unlock();
}

/// The path with symbolic links resolved, as SQLite does: every process finds the
/// same files.
fn real(database: &Path) -> PathBuf {
    database.canonicalize().unwrap_or_else(|_| database.into())
}

fn open(database: &Path, end: &str) -> Result<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(OsStr::new(end));
    let path = Path::new(&path);
    permissions::open_beside(path, database).map_err(|error| cannot_open(path, database, error))
}

fn cannot_open(path: &Path, database: &Path, error: io::Error) -> Error {
    let name = path.display();
    let cause = why(path, database, &error);
    let message = format!("could not open the file {name}, by which writers take turns: {cause}");
    Error::with_source(ErrorKind::Unavailable, message, error)
}

fn why(path: &Path, database: &Path, error: &io::Error) -> String {
    if NotRegular::is_cause_of(error) {
        let owner = permissions::owner(path)
            .map_or_else(String::new, |owner| format!(", and it belongs to {owner}"));
        return format!("{error}{owner}: this is not permitted: remove it");
    }
    match (permissions::owner(path), permissions::owner(database)) {
        _ if error.kind() == io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        _ if !permissions::is_forbidden(error) => format!("the system reports: {error}"),
        (Some(owner), Some(database)) => format!(
            "it belongs to {owner}, and the database to {database}: give it the same owner and mode, \
             or remove it while no program has the log open"
        ),
        (Some(owner), None) => format!("it belongs to {owner}: remove it"),
        (None, _) => "its folder is not writable".to_owned(),
    }
}

#[cfg(test)]
mod tests;
