use std::sync::Arc;

use downlink_sqlite_schema::DatabaseFile;
use rusqlite::Connection;

/// What the application runs on each new connection; see
/// [`Options::with_on_connect`](crate::Options::with_on_connect).
pub type OnConnect = Arc<dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync>;

/// The file of a store.
pub(crate) type File = DatabaseFile<OnConnect>;
