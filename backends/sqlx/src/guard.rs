use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use downlink_sqlite_schema::is_log_table;
use sqlx::SqliteConnection;

/// What is refused while a projection has the connection that writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    is_raised: Arc<AtomicBool>,
    /// Whether the tables of the log were written to meanwhile.
    is_broken: Arc<AtomicBool>,
}

impl Guard {
    /// Lets SQLite ask whether it may commit, and tell what is written.
    pub(crate) async fn install(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut handle = connection.lock_handle().await?;
        let is_raised = Arc::clone(&self.is_raised);
        handle.set_commit_hook(move || !is_raised.load(Ordering::Relaxed));
        let Self { is_raised, is_broken } = self.clone();
        handle.set_update_hook(move |change| {
            if is_raised.load(Ordering::Relaxed) && is_log_table(change.table) {
                is_broken.store(true, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    pub(crate) fn raise(&self) {
        self.is_broken.store(false, Ordering::Relaxed);
        self.is_raised.store(true, Ordering::Relaxed);
    }

    /// Tells whether the log was left alone.
    pub(crate) fn lower(&self) -> bool {
        self.is_raised.store(false, Ordering::Relaxed);
        !self.is_broken.load(Ordering::Relaxed)
    }
}
