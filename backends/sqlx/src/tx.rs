/// The transaction in which a projection writes its read model: a sqlx connection to the file
/// of the log.
///
/// The store begins the transaction and commits it together with the checkpoint. A projection
/// may nest other transactions in it ([`begin`](sqlx::Connection::begin)). SQLite refuses a
/// COMMIT. A step that ends the transaction in another way, or writes to the tables of the
/// log, fails and is rolled back.
///
/// # Examples
///
/// ```
/// use downlink::{BoxError, Event};
/// use downlink_sqlx::Tx;
///
/// async fn count_departures(events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
///     for event in events {
///         let add = "INSERT INTO departures (flight, times) VALUES (?, 1) \
///              ON CONFLICT (flight) DO UPDATE SET times = times + 1";
///         sqlx::query(add).bind(event.stream().as_str()).execute(&mut *tx).await?;
///     }
///     Ok(())
/// }
/// ```
pub type Tx = sqlx::SqliteConnection;
