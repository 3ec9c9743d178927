//! The listings of the book's chapter *PostgreSQL and NATS*.

use downlink::commit::Transacted;
use downlink::store::Appended;
use downlink::{
    Append, BoxError, Cursor, EventStore, Expected, Hub, Item, NewEvent, Result, Subscribe,
};
use downlink_postgres::{Options, PostgresBus, PostgresStore};
use futures::FutureExt;
use sqlx::PgPool;

use crate::server::{Server, fresh_schema};

async fn open(url: &str) -> Result<(Hub, PostgresStore, PostgresBus)> {
    // ANCHOR: open
    let store = PostgresStore::connect(url).await?;
    // Wakes the hub after another process has appended.
    let bus = PostgresBus::connect(url).await?;
    let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
    // ANCHOR_END: open
    Ok((hub, store, bus))
}

async fn open_second(url: &str, schema: &str) -> Result<(PostgresStore, PostgresBus)> {
    // ANCHOR: options
    let options = Options::new().with_schema(schema).with_readers(8);
    let store = options.clone().connect(url).await?;
    let bus = options.connect_bus(url).await?;
    // ANCHOR_END: options
    Ok((store, bus))
}

fn gate_taken(gate: &str, flight: &str) -> Result<Append> {
    let taken = NewEvent::json("GateTaken", format!(r#"{{"gate":"{gate}"}}"#))?;
    Append::to(format!("flight-{flight}"), Expected::Any, [taken])
}

// ANCHOR: transact
/// Assigns a gate to a flight. The primary key of the table keeps other flights from it.
async fn take(
    store: &PostgresStore,
    gate: String,
    flight: String,
) -> Result<Transacted<Appended>, BoxError> {
    let append = gate_taken(&gate, &flight)?;
    let work = store.transact(|tx| {
        async move {
            let appended = tx.append(append).await?;
            let insert = sqlx::query("INSERT INTO gates VALUES ($1, $2)").bind(gate).bind(flight);
            insert.execute(tx.rows().await?).await?;
            Ok(appended)
        }
        .boxed()
    });
    work.await
}
// ANCHOR_END: transact

// ANCHOR: commit_with
/// The same in a transaction that the application has begun, on a connection of its own pool.
async fn take_in_own_transaction(
    pool: &PgPool,
    store: &PostgresStore,
    gate: &str,
    flight: &str,
) -> Result<Appended, BoxError> {
    let mut tx = pool.begin().await?;
    let insert = sqlx::query("INSERT INTO gates VALUES ($1, $2)").bind(gate).bind(flight);
    insert.execute(&mut *tx).await?;
    Ok(store.commit_with(tx, gate_taken(gate, flight)?).await?)
}
// ANCHOR_END: commit_with

// ANCHOR: append_in
/// The row has the position of its event, so the event is appended first.
async fn take_and_note_position(
    pool: &PgPool,
    store: &PostgresStore,
    gate: &str,
    flight: &str,
) -> Result<Appended, BoxError> {
    let mut tx = pool.begin().await?;
    let appended = store.append_in(&mut tx, gate_taken(gate, flight)?).await?;
    if appended.duplicate {
        tx.rollback().await?;
        return Ok(appended);
    }
    // Other writers wait from here on.
    let insert = sqlx::query("INSERT INTO gates VALUES ($1, $2, $3)").bind(gate).bind(flight);
    insert.bind(appended.cursor.to_string()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(appended)
}
// ANCHOR_END: append_in

/// The columns that matter of all gates, in order.
async fn gates(pool: &PgPool) -> Vec<(String, String, Option<String>)> {
    let select = sqlx::query_as("SELECT gate, flight, cursor FROM gates ORDER BY gate");
    select.fetch_all(pool).await.expect("the gates")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn gates_and_events_are_stored_together() {
    let url = Server::get().url();
    let (hub, store, bus) = open(&url).await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    let table = "CREATE TABLE gates (gate text PRIMARY KEY, flight text NOT NULL, cursor text)";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    let mut flights = hub.subscribe(Subscribe::new()).await.unwrap();

    let first = take(&store, "C71".into(), "UA1545".into()).await.unwrap();
    assert!(matches!(first, Transacted::Committed(_)), "{first:?}");
    take(&store, "C71".into(), "DL461".into()).await.unwrap_err();
    let second = take_in_own_transaction(&pool, &store, "C72", "DL461").await.unwrap();
    take_in_own_transaction(&pool, &store, "C72", "B6725").await.unwrap_err();
    let third = take_and_note_position(&pool, &store, "C73", "B6725").await.unwrap();
    take_and_note_position(&pool, &store, "C73", "AA1141").await.unwrap_err();

    assert!(!second.duplicate);
    let row = |gate: &str, flight: &str, cursor| (gate.to_owned(), flight.to_owned(), cursor);
    let noted = Some(third.cursor.to_string());
    assert_eq!(
        gates(&pool).await,
        [row("C71", "UA1545", None), row("C72", "DL461", None), row("C73", "B6725", noted)]
    );
    let mut seen = Vec::new();
    while flights.cursor() != third.cursor {
        if let Item::Event(event) = flights.next().await.unwrap().unwrap() {
            seen.push(event.stream().to_string());
        }
    }
    assert_eq!(seen, ["flight-UA1545", "flight-DL461", "flight-B6725"]);
    assert_eq!(store.head().await.unwrap(), third.cursor);
    hub.shutdown().await;
    bus.close().await;
    store.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn each_schema_has_a_log_of_its_own() {
    let url = Server::get().url();
    let (one, bus_of_one) = open_second(&url, &fresh_schema()).await.unwrap();
    let (two, bus_of_two) = open_second(&url, &fresh_schema()).await.unwrap();
    one.append(gate_taken("C71", "UA1545").unwrap()).await.unwrap();
    assert_ne!(one.head().await.unwrap(), Cursor::START);
    assert_eq!(two.head().await.unwrap(), Cursor::START);
    for (store, bus) in [(one, bus_of_one), (two, bus_of_two)] {
        bus.close().await;
        store.close().await;
    }
}
