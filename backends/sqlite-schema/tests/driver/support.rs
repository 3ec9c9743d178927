//! Helpers that the tests of both drivers share.

use std::path::{Path, PathBuf};

use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Error, EventStore, Expected, NewEvent, Read, Result};
use rusqlite::Connection;
use tempfile::TempDir;

use super::driver::{self, Store};

/// The path of a log in a temporary folder, which is removed after the test.
pub(crate) struct TempLog {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl TempLog {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flights.db");
        Self { folder, path }
    }

    pub(crate) async fn open(&self) -> Store {
        driver::open(&self.path).await.unwrap()
    }

    /// A connection that bypasses the store.
    pub(crate) fn sql(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    pub(crate) fn with_end(&self, end: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(end);
        name.into()
    }
}

pub(crate) fn event(name: &str) -> NewEvent {
    NewEvent::json(name, "{}").unwrap()
}

pub(crate) fn append(stream: &str, count: usize) -> Append {
    let events: Vec<_> = (0..count).map(|_| event("FlightDeparted")).collect();
    Append::to(stream, Expected::Any, events).unwrap()
}

pub(crate) async fn stored(store: &impl EventStore, stream: &str, count: usize) -> Appended {
    store.append(append(stream, count)).await.unwrap()
}

pub(crate) async fn all(store: &impl EventStore) -> Page {
    store.read_log(Read::log().with_limit(1_000)).await.unwrap()
}

/// A read of the log or of a stream.
#[derive(Clone, Debug)]
pub(crate) enum AnyRead {
    Log(ReadLog),
    Stream(ReadStream),
}

impl AnyRead {
    pub(crate) async fn page(&self, store: &impl EventStore) -> Result<Page> {
        match self {
            Self::Log(read) => store.read_log(read.clone()).await,
            Self::Stream(read) => store.read_stream(read.clone()).await,
        }
    }
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Copies a closed log.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
