use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use downlink_sqlite_schema::batch_sql;
use downlink_sqlite_schema::is_log_table;
use sqlx::SqliteConnection;

use crate::statement::execute;

/// How many steps of its virtual machine SQLite runs between two checks whether to continue.
const STEPS: i32 = 1_000;

/// Protects the log while application code uses the connection that writes: refuses commits,
/// and records writes to the tables of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogGuard {
    is_active: Arc<AtomicBool>,
    /// Whether the tables of the log were written to while the guard was active.
    log_written: Arc<AtomicBool>,
    /// Whether application code was dropped, with a statement that may still run.
    is_interrupted: Arc<AtomicBool>,
}

impl LogGuard {
    /// Installs the hooks: whether SQLite may commit, whether it continues, and what it
    /// writes.
    pub(crate) async fn install(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut handle = connection.lock_handle().await?;
        let Self { is_active, log_written, is_interrupted } = self.clone();
        handle.set_progress_handler(STEPS, move || !is_interrupted.load(Ordering::Relaxed));
        let refuses_commit = Arc::clone(&is_active);
        handle.set_commit_hook(move || !refuses_commit.load(Ordering::Relaxed));
        handle.set_update_hook(move |change| {
            if is_active.load(Ordering::Relaxed) && is_log_table(change.table) {
                log_written.store(true, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    /// Activates the guard until the returned value is [deactivated](ActiveGuard::deactivate).
    /// Installs the hooks again, because earlier application code may have replaced them.
    pub(crate) async fn activate(
        &self,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<ActiveGuard> {
        self.install(connection).await?;
        self.log_written.store(false, Ordering::Relaxed);
        self.is_active.store(true, Ordering::Relaxed);
        Ok(ActiveGuard(self.clone()))
    }

    /// Resets the guard when no application code runs and the connection is closed or idle.
    pub(crate) fn reset(&self) {
        self.is_active.store(false, Ordering::Relaxed);
        self.is_interrupted.store(false, Ordering::Relaxed);
    }
}

/// A guard while application code uses the connection. Dropping it means that this code was
/// dropped or panicked: its statement is interrupted.
#[derive(Debug)]
#[must_use]
pub(crate) struct ActiveGuard(LogGuard);

impl ActiveGuard {
    /// Ends the protection after application code has ended. Returns whether the code left the
    /// tables of the log alone, and the hook that records writes to them.
    pub(crate) async fn deactivate(self, connection: &mut SqliteConnection) -> bool {
        let guard = self.0.clone();
        let is_unwritten = !guard.log_written.load(Ordering::Relaxed);
        let is_touched = execute(connection, batch_sql::TOUCH).await.is_ok();
        let is_recorded = guard.log_written.load(Ordering::Relaxed);
        drop(self);
        guard.reset();
        is_unwritten && is_touched && is_recorded
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.is_interrupted.store(true, Ordering::Relaxed);
        self.0.is_active.store(false, Ordering::Relaxed);
    }
}
