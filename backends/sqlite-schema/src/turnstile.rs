use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use downlink::{Error, ErrorKind, Result};

use crate::permissions::{self, NotPlain};

/// The order in which everybody who shares a database writes to it: first come,
/// first served, across processes.
///
/// SQLite lets writers wait in no order: beside one that writes without a pause
/// another may not get the lock for seconds. Here a writer passes a *gate* to
/// wait for its *turn*, and keeps the gate shut meanwhile. So whoever has just
/// written finds it shut and is behind the one who waited.
///
/// Both are locks on files of their own beside the database, `flights.db-gate`
/// and `flights.db-turn`. They are empty, stay where they are, and belong to no
/// backup. The system frees the locks of a process that ends. What they protect
/// is fairness alone: the database is safe by SQLite's own lock, also if
/// somebody removes the two.
///
/// Every `Turnstile` is a place of its own in the queue, also within one
/// process.
///
/// # Threads
///
/// The system's lock knows no deadline, so a thread of the turnstile waits for
/// it. It is started when somebody first has to wait, and ends with the
/// turnstile. If it waits just then, for a program that was stopped, say, it
/// ends when that one goes on or ends: one thread for each turnstile at most.
#[derive(Debug)]
pub struct Turnstile {
    shared: Arc<Shared>,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Pass {
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
    at: At,
    /// How many wait in [`Turnstile::enter`].
    callers: usize,
    waiting: Option<JoinHandle<()>>,
    is_closed: bool,
}

/// How far this turnstile is. The locks belong to whoever the state names.
#[derive(Debug)]
enum At {
    /// It wants nothing and holds nothing.
    Outside,
    /// The thread waits for the others.
    Queued,
    /// The thread has got the turn, or has failed.
    Arrived(Result<()>),
    /// There is a [`Pass`].
    Inside,
}

impl Turnstile {
    /// The turnstile of this database. Its two files are made if they are not
    /// there, and get the database's owner and mode as far as the system lets us.
    ///
    /// # Errors
    ///
    /// - [`Unavailable`](ErrorKind::Unavailable) if the folder is not there or
    ///   is read-only, if a file of the two belongs to another user, if it is a link or has
    ///   other names, or if the system opens no more files;
    /// - [`Backend`](ErrorKind::Backend) if the file system has no locks.
    pub fn beside(database: &Path) -> Result<Self> {
        let real = real(database);
        let shared = Shared {
            gate: open(&real, "-gate")?,
            turn: open(&real, "-turn")?,
            database: real,
            state: Mutex::new(State {
                at: At::Outside,
                callers: 0,
                waiting: None,
                is_closed: false,
            }),
            changed: Condvar::new(),
        };
        // Whether there are locks at all is told here, and not to the first append.
        if shared.try_lock(&shared.gate)? {
            unlock(&shared.gate);
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Enters if nobody is inside and nobody waits. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if the system refuses to lock.
    pub fn try_enter(&self) -> Result<Option<Pass>> {
        let entered = self.shared.try_enter(&mut self.shared.state())?;
        Ok(entered.then(|| self.pass()))
    }

    /// Waits for the turn, on the calling thread; `None` when the deadline has
    /// passed. The place in the queue is kept for a while then: who comes back
    /// soon is not behind those who came later.
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if the system refuses to lock,
    /// [`Unavailable`](ErrorKind::Unavailable) if it gives no thread.
    pub fn enter(&self, deadline: Instant) -> Result<Option<Pass>> {
        let mut state = self.shared.state();
        if self.shared.try_enter(&mut state)? {
            return Ok(Some(self.pass()));
        }
        state.callers += 1;
        let entered = loop {
            if let At::Arrived(_) = state.at {
                break state.take_arrived().map(|()| true);
            }
            if let At::Outside = state.at
                && let Err(error) = self.queue(&mut state)
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
        state.callers -= 1;
        Ok(entered?.then(|| self.pass()))
    }

    /// Has the thread wait.
    fn queue(&self, state: &mut State) -> Result<()> {
        if state.waiting.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("downlink-turnstile".into());
            let waiting = thread.spawn(move || shared.serve()).map_err(|error| {
                let message = "the system gives no thread to wait for the others who write";
                Error::with_source(ErrorKind::Unavailable, message, error)
            })?;
            state.waiting = Some(waiting);
        }
        state.at = At::Queued;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn pass(&self) -> Pass {
        Pass { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        self.shared.changed.notify_all();
        let waiting = state.waiting.take();
        let is_queued = matches!(state.at, At::Queued);
        drop(state);
        // Nobody knows when one who waits for others will end.
        if let Some(waiting) = waiting
            && !is_queued
        {
            drop(waiting.join());
        }
    }
}

impl Pass {
    /// Whether somebody else waits for the turn, so that this one should end
    /// soon. Costs about as much as [`Turnstile::try_enter`].
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        if self.shared.state().callers > 0 {
            return true;
        }
        // Who waits for the turn keeps the gate shut.
        match self.shared.gate.try_lock() {
            Ok(()) => unlock(&self.shared.gate),
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Error(_)) => {}
        }
        false
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        unlock(&self.shared.turn);
        state.at = At::Outside;
        if state.callers > 0 {
            self.shared.changed.notify_all();
        }
    }
}

impl State {
    fn take_arrived(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.at, At::Inside) {
            At::Arrived(Err(error)) => {
                self.at = At::Outside;
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

    fn try_enter(&self, state: &mut State) -> Result<bool> {
        let is_free = matches!(state.at, At::Outside) && state.callers == 0;
        if !is_free || !self.try_lock(&self.gate)? {
            return Ok(false);
        }
        let entered = self.try_lock(&self.turn);
        unlock(&self.gate);
        if let Ok(true) = entered {
            state.at = At::Inside;
        }
        entered
    }

    /// The thread: waits for the turn as often as somebody here wants it.
    fn serve(&self) {
        loop {
            let mut state = self.state();
            while !matches!(state.at, At::Queued) {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let arrived = self.lock_in_turn();
            self.arrive(&mut self.state(), arrived);
        }
    }

    fn lock_in_turn(&self) -> Result<()> {
        self.lock(&self.gate)?;
        let locked = self.lock(&self.turn);
        unlock(&self.gate);
        locked
    }

    /// Hands the turn to whoever waits here, or on to the others.
    fn arrive(&self, state: &mut State, arrived: Result<()>) {
        if state.callers > 0 {
            state.at = At::Arrived(arrived);
            self.changed.notify_all();
            return;
        }
        if arrived.is_ok() {
            unlock(&self.turn);
        }
        state.at = At::Outside;
    }

    fn lock(&self, file: &File) -> Result<()> {
        loop {
            match file.lock() {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
    }

    fn try_lock(&self, file: &File) -> Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: io::Error) -> Error {
        let message = format!(
            "the file system does not lock the files beside {}: put the database on a local disk",
            self.database.display()
        );
        Error::with_source(ErrorKind::Backend, message, error)
    }
}

/// What is locked can be unlocked.
fn unlock(file: &File) {
    let _ = file.unlock();
}

/// The path by which everybody finds the same files: SQLite, too, follows a
/// symbolic link.
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
    let message =
        format!("the file {name}, by which processes take turns, cannot be opened: {cause}");
    Error::with_source(ErrorKind::Unavailable, message, error)
}

fn why(path: &Path, database: &Path, error: &io::Error) -> String {
    if NotPlain::is_cause_of(error) {
        let owner = permissions::owner(path)
            .map_or_else(String::new, |owner| format!(", and it belongs to {owner}"));
        return format!("{error}{owner}: that is refused, so remove it");
    }
    match (permissions::owner(path), permissions::owner(database)) {
        _ if error.kind() == io::ErrorKind::NotFound => "its folder has to exist".to_owned(),
        _ if !permissions::is_forbidden(error) => format!("the system says: {error}"),
        (Some(owner), Some(database)) => format!(
            "it belongs to {owner}, and the database to {database}: give it the same owner and mode, \
             or remove it while no program has the log open"
        ),
        (Some(owner), None) => format!("it belongs to {owner}: remove it"),
        (None, _) => "its folder has to be writable".to_owned(),
    }
}

#[cfg(test)]
mod tests;
