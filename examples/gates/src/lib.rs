//! A table of the application and the events about it, in one transaction.
//!
//! The table `gates` has the flight at each gate, and its primary key keeps a gate
//! from being occupied twice. Clients follow the log. A row and its event are stored
//! together or not at all.

mod gate_error;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segments, State};
use axum::routing::put;
use downlink::commit::Transacted;
use downlink::{Append, BoxError, EventId, Expected, NewEvent};
use downlink_rusqlite::{Options, RusqliteStore};
use serde::{Deserialize, Serialize};

pub use gate_error::GateError;

#[derive(Debug, Serialize, Deserialize)]
enum GateEvent {
    GateTaken { gate: String },
}

// ANCHOR: open
/// Opens the log in the application's database, which may have tables already.
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
/// Creates the table.
///
/// # Errors
///
/// Those of the store.
pub async fn prepare(store: &RusqliteStore) -> Result<(), BoxError> {
    let table = "CREATE TABLE IF NOT EXISTS gates (gate TEXT PRIMARY KEY, flight TEXT NOT NULL)";
    store.transact(|tx| Ok::<_, BoxError>(tx.rows()?.execute_batch(table)?)).await.map(drop)
}
// ANCHOR_END: prepare

/// `PUT /gates/{gate}/{flight}/{id}` assigns a gate to a flight.
pub fn router(store: &RusqliteStore) -> Router {
    Router::new().route("/gates/{gate}/{flight}/{id}", put(take)).with_state(store.clone())
}

// ANCHOR: take
/// The client chooses the id, so it can repeat a request that was not answered.
async fn take(
    State(store): State<RusqliteStore>,
    Segments((gate, flight, id)): Segments<(String, String, String)>,
) -> Result<String, GateError> {
    let id: EventId = id.parse()?;
    let taken = NewEvent::from_variant(&GateEvent::GateTaken { gate: gate.clone() })?.with_id(id);
    let append = Append::to(format!("flight-{flight}"), Expected::Any, [taken])?;

    let transacted = store.transact(move |tx| {
        let appended = tx.append(append)?;
        tx.rows()?.execute("INSERT INTO gates VALUES (?1, ?2)", (gate, flight))?;
        Ok::<_, GateError>(appended)
    });
    match transacted.await? {
        Transacted::Committed(appended) | Transacted::Duplicate(appended) => {
            Ok(appended.cursor.to_string())
        }
    }
}
// ANCHOR_END: take
