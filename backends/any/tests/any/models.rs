use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::decider::SnapshotStore;
use downlink::live::QueryStore;
use downlink::{BoxError, Error, ErrorKind, Result};
use downlink_any::{Dialect, Log, Tx};
use downlink_conformance_tests::live::LiveFixture;
use downlink_conformance_tests::projection::{Opened, ProjectionFixture};
use downlink_conformance_tests::{Guard, SnapshotFixture, SnapshotPlace};
use tempfile::TempDir;

pub(crate) struct ThroughRusqlite;
pub(crate) struct ThroughSqlx;

/// A log, and the file in which it is.
struct File {
    _log: Log,
    path: PathBuf,
    _folder: TempDir,
}

fn failed(error: impl Into<BoxError>) -> Error {
    Error::with_source(ErrorKind::Backend, "the fixture failed", error)
}

type Both = (Opened<Tx>, Arc<dyn QueryStore<Tx = Tx>>);

async fn open(driver: &str) -> Result<Both> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join("log.db");
    let log = Log::open(&format!("{driver}:{}", path.display())).await?;
    Ok(opened(&log, Guard::new(File { _log: log.clone(), path, _folder: folder })))
}

pub(crate) fn opened(log: &Log, guard: Guard) -> Both {
    (Opened { log: log.store(), models: Arc::new(log.models()), guard }, log.models())
}

pub(crate) async fn make_list(list: &str, tx: &mut Tx) -> Result<(), BoxError> {
    let number = match tx.dialect() {
        Dialect::Sqlite => "INTEGER",
        Dialect::Postgres => "bigserial",
    };
    for statement in [
        format!("DROP TABLE IF EXISTS {list}"),
        format!("CREATE TABLE {list} (number {number} PRIMARY KEY, line text)"),
    ] {
        tx.execute(&statement, Vec::new()).await?;
    }
    Ok(())
}

pub(crate) async fn add_line(list: &str, line: &str, tx: &mut Tx) -> Result<(), BoxError> {
    let add = format!("INSERT INTO {list} (line) VALUES (?1)");
    assert_eq!(tx.execute(&add, vec![line.into()]).await?, 1);
    Ok(())
}

pub(crate) async fn read_lines(list: &str, tx: &mut Tx) -> Result<Vec<String>, BoxError> {
    #[derive(serde::Deserialize)]
    struct Line {
        line: String,
    }

    let select = format!("SELECT line FROM {list} ORDER BY number");
    let lines: Vec<Line> = tx.fetch_as(&select, Vec::new()).await?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

/// What another program reads in the file.
fn lines(file: &File, list: &str) -> rusqlite::Result<Vec<String>> {
    let connection = rusqlite::Connection::open(&file.path)?;
    let exists = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    if connection.query_row(exists, [list], |row| row.get::<_, u32>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut lines = connection.prepare(&format!("SELECT line FROM {list} ORDER BY number"))?;
    lines.query_map((), |row| row.get(0))?.collect()
}

/// Snapshots in a file that is opened again and again.
struct Place {
    url: String,
    _folder: TempDir,
}

impl Place {
    fn new(driver: &str) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let url = format!("{driver}:{}", folder.path().join("log.db").display());
        Ok(Self { url, _folder: folder })
    }
}

#[async_trait]
impl SnapshotPlace for Place {
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>> {
        Ok(Log::open(&self.url).await?.snapshots())
    }
}

macro_rules! fixture {
    ($fixture:ty, $driver:literal) => {
        #[async_trait]
        impl ProjectionFixture for $fixture {
            type Tx = Tx;

            async fn open(&self) -> Result<Opened<Tx>> {
                Ok(open($driver).await?.0)
            }

            async fn make_list(&self, list: &str, tx: &mut Tx) -> Result<(), BoxError> {
                make_list(list, tx).await
            }

            async fn add_line(&self, list: &str, line: &str, tx: &mut Tx) -> Result<(), BoxError> {
                add_line(list, line, tx).await
            }

            async fn lines(&self, opened: &Opened<Tx>, list: &str) -> Result<Vec<String>> {
                lines(opened.guard.get().expect("what `open` keeps"), list).map_err(failed)
            }
        }

        #[async_trait]
        impl SnapshotFixture for $fixture {
            async fn create(&self) -> Result<Box<dyn SnapshotPlace>> {
                Ok(Box::new(Place::new($driver)?))
            }
        }

        #[async_trait]
        impl LiveFixture for $fixture {
            async fn open_queries(&self) -> Result<Both> {
                open($driver).await
            }

            async fn read_lines(&self, list: &str, tx: &mut Tx) -> Result<Vec<String>, BoxError> {
                read_lines(list, tx).await
            }
        }
    };
}

fixture!(ThroughRusqlite, "rusqlite");
fixture!(ThroughSqlx, "sqlx");
