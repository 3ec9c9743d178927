use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use downlink_sqlite_schema::is_log_table;
use downlink_sqlite_schema::many;
use sqlx::SqliteConnection;

use crate::driver::execute;

/// The virtual machine of SQLite asks after so many steps whether to go on.
const STEPS: i32 = 1_000;

/// What is refused while foreign code has the connection that writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    raised: Arc<AtomicBool>,
    /// Whether the tables of the log were written to meanwhile.
    meddled: Arc<AtomicBool>,
    /// Whether foreign code was given up, with a statement that may still run.
    given_up: Arc<AtomicBool>,
}

impl Guard {
    /// Lets SQLite ask whether it may commit and whether to go on, and tell what
    /// is written.
    pub(crate) async fn install(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut handle = connection.lock_handle().await?;
        let Self { raised, meddled, given_up } = self.clone();
        handle.set_progress_handler(STEPS, move || !given_up.load(Ordering::Relaxed));
        let may_commit = Arc::clone(&raised);
        handle.set_commit_hook(move || !may_commit.load(Ordering::Relaxed));
        handle.set_update_hook(move |change| {
            if raised.load(Ordering::Relaxed) && is_log_table(change.table) {
                meddled.store(true, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    /// Foreign code gets the connection, until what this returns is lowered. The
    /// hooks are set anew, since the last foreign code may have set its own.
    pub(crate) async fn raise(&self, connection: &mut SqliteConnection) -> sqlx::Result<Raised> {
        self.install(connection).await?;
        self.meddled.store(false, Ordering::Relaxed);
        self.raised.store(true, Ordering::Relaxed);
        Ok(Raised(self.clone()))
    }

    /// Foreign code is gone, and the connection is closed or does nothing.
    pub(crate) fn reset(&self) {
        self.raised.store(false, Ordering::Relaxed);
        self.given_up.store(false, Ordering::Relaxed);
    }
}

/// A guard while foreign code has the connection. If it is dropped, foreign code
/// was dropped, or it panicked: its statement is interrupted.
#[derive(Debug)]
#[must_use]
pub(crate) struct Raised(Guard);

impl Raised {
    /// Foreign code is done. Tells whether it left alone the log, and the hook
    /// that says so.
    pub(crate) async fn lower(self, connection: &mut SqliteConnection) -> bool {
        let guard = self.0.clone();
        let is_unhurt = !guard.meddled.load(Ordering::Relaxed);
        let is_touched = execute(connection, many::TOUCH).await.is_ok();
        let is_told = guard.meddled.load(Ordering::Relaxed);
        drop(self);
        guard.reset();
        is_unhurt && is_touched && is_told
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Relaxed);
        self.0.raised.store(false, Ordering::Relaxed);
    }
}
