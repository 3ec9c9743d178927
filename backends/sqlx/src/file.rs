use std::sync::Arc;

use downlink_sqlite_schema::DatabaseFile;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;

/// What the application runs on each new connection; see
/// [`Options::with_on_connect`](crate::Options::with_on_connect).
pub type OnConnect =
    Arc<dyn for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, sqlx::Result<()>> + Send + Sync>;

/// The file of a store.
pub(crate) type File = DatabaseFile<OnConnect>;
