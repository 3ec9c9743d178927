//! A log that is restored from a dump while its store runs, in the way of the book's chapter
//! *PostgreSQL and NATS*.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use downlink::{EventStore, Result};
use downlink_conformance_tests::{Backups, ReplaceableFixture};
use tokio::task::spawn_blocking;

use crate::fixture::failed;
use crate::models::execute;
use crate::server::{Server, fresh_schema, options};

/// A database of its own for each log.
pub(crate) struct Restorable;

#[async_trait]
impl ReplaceableFixture for Restorable {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Box<dyn Backups>)> {
        let database = format!("of_{}", fresh_schema());
        execute(format!("CREATE DATABASE {database}")).await?;
        let store = options("downlink").connect(&Server::get().url_of(&database)).await?;
        Ok((Arc::new(store), Box::new(Dump { database, bytes: Mutex::default() })))
    }
}

/// A database and its dump.
struct Dump {
    database: String,
    bytes: Mutex<Vec<u8>>,
}

#[async_trait]
impl Backups for Dump {
    async fn back_up(&self) -> Result<()> {
        let dump = run("pg_dump", "--format=custom", &self.database, Vec::new()).await?;
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = dump;
        Ok(())
    }

    /// Restores into another database, and gives it the name of the log's.
    async fn restore(&self) -> Result<()> {
        let (database, restored) = (&self.database, format!("{}_restored", self.database));
        let dump = self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        execute(format!("CREATE DATABASE {restored} TEMPLATE template0")).await?;
        run("pg_restore", "--single-transaction", &restored, dump).await?;
        execute(format!("DROP DATABASE {database} WITH (FORCE)")).await?;
        execute(format!("ALTER DATABASE {restored} RENAME TO {database}")).await
    }
}

/// Runs a program of PostgreSQL on a database, and returns its output.
async fn run(
    program: &'static str,
    option: &'static str,
    database: &str,
    input: Vec<u8>,
) -> Result<Vec<u8>> {
    let database = format!("--dbname={}", Server::get().url_of(database));
    let run = move || -> std::io::Result<Output> {
        let mut command = Command::new(program);
        command.args([option, &database]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = command.stderr(Stdio::piped()).spawn()?;
        running.stdin.take().expect("its input").write_all(&input)?;
        running.wait_with_output()
    };
    let output = spawn_blocking(run).await.map_err(failed)?.map_err(failed)?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(output.stdout)
}
