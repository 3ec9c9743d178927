//! A table of the application, and the events about it, stored together.
//!
//! The table `gates` says which flight stands where, and SQL keeps a gate from
//! being taken twice. Clients that follow the log hear of it. Neither is ever true
//! without the other.

mod refused;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segments, State};
use axum::routing::put;
use downlink::commit::Transacted;
use downlink::{Append, BoxError, EventId, Expected, NewEvent};
use downlink_rusqlite::{Options, RusqliteStore};
use serde::{Deserialize, Serialize};

pub use refused::Refused;

#[derive(Debug, Serialize, Deserialize)]
enum GateEvent {
    GateTaken { gate: String },
}

// ANCHOR: open
/// Opens the log in the database of the application, which may have tables
/// already.
///
/// # Errors
///
/// Those of [`Options::open`].
pub async fn open(path: impl AsRef<Path>) -> downlink::Result<RusqliteStore> {
    Options::new()
        .with_application_database()
        .with_on_connect(Arc::new(|connection| {
            connection.pragma_update(None, "foreign_keys", true)
        }))
        .open(path)
        .await
}
// ANCHOR_END: open

// ANCHOR: prepare
/// Makes the table.
///
/// # Errors
///
/// Those of the store.
pub async fn prepare(store: &RusqliteStore) -> Result<(), BoxError> {
    let table = "CREATE TABLE IF NOT EXISTS gates (gate TEXT PRIMARY KEY, flight TEXT NOT NULL)";
    store.transact(|tx| Ok::<_, BoxError>(tx.rows()?.execute_batch(table)?)).await.map(drop)
}
// ANCHOR_END: prepare

/// `PUT /gates/{gate}/{flight}/{id}` takes a gate.
pub fn router(store: &RusqliteStore) -> Router {
    Router::new().route("/gates/{gate}/{flight}/{id}", put(take)).with_state(store.clone())
}

// ANCHOR: take
/// The client has chosen the id, so it may ask again if it has no answer.
async fn take(
    State(store): State<RusqliteStore>,
    Segments((gate, flight, id)): Segments<(String, String, String)>,
) -> Result<String, Refused> {
    let id: EventId = id.parse()?;
    let taken = NewEvent::json(&GateEvent::GateTaken { gate: gate.clone() })?.with_id(id);
    let append = Append::to(format!("flight-{flight}"), Expected::Any, [taken])?;

    let transacted = store.transact(move |tx| {
        let appended = tx.append(append)?;
        tx.rows()?.execute("INSERT INTO gates VALUES (?1, ?2)", (gate, flight))?;
        Ok::<_, Refused>(appended)
    });
    match transacted.await? {
        Transacted::Committed(appended) | Transacted::Duplicate(appended) => {
            Ok(appended.cursor.to_string())
        }
    }
}
// ANCHOR_END: take
