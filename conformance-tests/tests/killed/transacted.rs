//! The same in the middle of transactions of an application: a row of its table
//! is stored exactly if all events of its appends are.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use downlink::commit::Transacted;
use downlink::{Append, BoxError, EventStore, Result};
use downlink_conformance_tests::cross_process::Respawn;
use downlink_conformance_tests::sample;
use downlink_rusqlite::RusqliteStore;
use downlink_sqlx::SqlxStore;
use futures::FutureExt;
use futures::future::try_join_all;
use rand::{Rng, SeedableRng};

use crate::batch;
use crate::heard::Heard;
use crate::trial::{DEADLINE, kill_one, seed};
use crate::worker::{runtime, say};

/// How many transactions are in progress at a time.
const AT_ONCE: usize = 4;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS desk (batch TEXT, events INTEGER)";
const ROW: &str = "INSERT INTO desk VALUES (?1, ?2)";

/// A store that runs transactions of an application.
trait OpenedModels: EventStore + Clone {
    fn open(address: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Creates the table, writes a row, makes each of these appends, and writes
    /// the number of events into the row.
    fn take(
        &self,
        batch: String,
        appends: Vec<Append>,
    ) -> impl Future<Output = Result<Transacted<()>, BoxError>> + Send;

    fn problems(&self) -> impl Future<Output = Result<usize>> + Send;
}

impl OpenedModels for RusqliteStore {
    async fn open(address: &str) -> Result<Self> {
        downlink_rusqlite::open(address).await
    }

    async fn take(&self, batch: String, appends: Vec<Append>) -> Result<Transacted<()>, BoxError> {
        let taken = self.transact(move |tx| {
            tx.rows()?.execute_batch(TABLE)?;
            tx.rows()?.execute(ROW, (&batch, 0))?;
            let mut events = 0;
            for append in appends {
                events += append.events().count();
                tx.append(append)?;
            }
            let count = "UPDATE desk SET events = ?2 WHERE batch = ?1";
            tx.rows()?.execute(count, (&batch, i64::try_from(events)?))?;
            Ok::<(), BoxError>(())
        });
        taken.await
    }

    async fn problems(&self) -> Result<usize> {
        Ok(self.verify().await?.problems.len())
    }
}

impl OpenedModels for SqlxStore {
    async fn open(address: &str) -> Result<Self> {
        downlink_sqlx::open(address).await
    }

    async fn take(&self, batch: String, appends: Vec<Append>) -> Result<Transacted<()>, BoxError> {
        let taken = self.transact(move |tx| {
            async move {
                sqlx::query(TABLE).execute(tx.rows().await?).await?;
                sqlx::query(ROW).bind(&batch).bind(0).execute(tx.rows().await?).await?;
                let mut events = 0;
                for append in appends {
                    events += append.events().count();
                    tx.append(append).await?;
                }
                let count = "UPDATE desk SET events = ?2 WHERE batch = ?1";
                let count = sqlx::query(count).bind(&batch).bind(i64::try_from(events)?);
                count.execute(tx.rows().await?).await?;
                Ok::<(), BoxError>(())
            }
            .boxed()
        });
        taken.await
    }

    async fn problems(&self) -> Result<usize> {
        Ok(self.verify().await?.problems.len())
    }
}

/// Works until it is killed.
fn work<D: OpenedModels>(address: &str) {
    let worked: Result<Vec<()>, BoxError> = runtime().block_on(async {
        say("opening");
        let desk = D::open(address).await?;
        say("open");
        try_join_all((0..AT_ONCE).map(|_| take(&desk))).await
    });
    panic!("the worker ended by itself: {worked:?}");
}

async fn take(desk: &impl OpenedModels) -> Result<(), BoxError> {
    loop {
        let (batch, append) = batch::any(&mut rand::rng());
        let each = |write| Append { writes: vec![write], checks: Vec::new() };
        let appends: Vec<_> = append.writes.into_iter().map(each).collect();
        let repeated = appends.clone();
        assert_eq!(desk.take(batch.to_string(), appends).await?, Transacted::Committed(()));
        let Transacted::Duplicate(_) = desk.take(batch.to_string(), repeated.clone()).await? else {
            return Err("a repeat was stored again".into());
        };
        let last = repeated.last().expect("an append").clone();
        say(&format!("stored {batch} {}", desk.append(last).await?.last()));
    }
}

async fn kill_all<D: OpenedModels>(reentry: Respawn, kills: usize) {
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed());
    let folder = tempfile::tempdir().expect("a folder");
    let address = folder.path().join("log.db").display().to_string();
    let mut heard = Heard::default();
    for kill in 1..=kills {
        let round = async {
            kill_one(&reentry, &address, rng.random_range(3..=60), &mut heard).await;
            look::<D>(&address, &heard).await;
        };
        let in_time = tokio::time::timeout(DEADLINE, round).await;
        in_time.unwrap_or_else(|_| panic!("kill {kill} takes longer than {DEADLINE:?}"));
    }
    println!("{kills} kills, {} transactions were acknowledged", heard.stored.len());
}

/// Compares rows and events with each other, and with what workers reported.
async fn look<D: OpenedModels>(address: &str, heard: &Heard) {
    let desk = Arc::new(D::open(address).await.expect("what a kill left can be opened"));
    let log = sample::log(&*desk).await;
    let stored = batch::all(&log);
    for (batch, last) in &heard.stored {
        assert_eq!(stored.get(batch), Some(last), "an acknowledged transaction is lost");
    }
    assert!(batch::versions_are_dense(&log), "versions of a stream have a gap");
    let mut events: BTreeMap<String, i64> = BTreeMap::new();
    for event in &log {
        *events.entry(batch::of(event)).or_default() += 1;
    }
    assert_eq!(rows(address), events, "a row is stored without its events, or they without it");
    assert_eq!(
        desk.problems().await.expect("a verification of the file"),
        0,
        "the file is damaged"
    );
}

/// The number of events in each row.
fn rows(address: &str) -> BTreeMap<String, i64> {
    let connection = rusqlite::Connection::open(address).expect("the file");
    connection.execute_batch(TABLE).expect("a table");
    let mut rows = connection.prepare("SELECT batch, events FROM desk").expect("a statement");
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for row in rows {
        found.extend([row.expect("a row")]);
        count += 1;
    }
    assert_eq!(found.len(), count, "a row is stored twice");
    found
}

macro_rules! trials {
    ($driver:ident: $desk:ty) => {
        mod $driver {
            use downlink_conformance_tests::cross_process::Respawn;

            use crate::transacted::{kill_all, work};
            use crate::worker::runtime;

            fn kill(kills: usize) {
                let worker = concat!(module_path!(), "::three_kills_tear_no_transaction");
                runtime().block_on(kill_all::<$desk>(Respawn::of_test(worker), kills));
            }

            #[test]
            fn three_kills_tear_no_transaction() {
                match Respawn::address() {
                    Some(address) => work::<$desk>(&address),
                    None => kill(3),
                }
            }

            #[test]
            #[ignore = "slow: fifty kills"]
            fn fifty_kills_tear_no_transaction() {
                kill(50);
            }
        }
    };
}

trials!(rusqlite_desk: downlink_rusqlite::RusqliteStore);
trials!(sqlx_desk: downlink_sqlx::SqlxStore);
