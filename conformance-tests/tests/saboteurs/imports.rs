use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use downlink::commit::Commits;
use downlink::event::Timestamp;
use downlink::store::{Appended, Import, ImportStore, Moved, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Event, EventStore, MemoryStore, Position, Result};
use downlink_conformance_tests::{Guard, ImportFixture};

/// The bugs of the broken imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportBug {
    TakesItsOwnTime,
    KeepsWhatFits,
    ComparesTheEndBeforeTheLock,
    ReportsNoImports,
    RecordsMovesFirst,
}

/// Opens stores with this bug or none.
pub(crate) struct BrokenImports(pub(crate) Option<ImportBug>);

#[async_trait]
impl ImportFixture for BrokenImports {
    async fn open(&self) -> Result<(Arc<dyn ImportStore>, Guard)> {
        let (store, silent) = (MemoryStore::new(), MemoryStore::new());
        let moved = Mutex::default();
        Ok((Arc::new(Broken { store, silent, moved, bug: self.0 }), Guard::none()))
    }
}

#[derive(Debug)]
struct Broken {
    store: MemoryStore,
    /// Nothing is ever stored here.
    silent: MemoryStore,
    /// What is recorded before the events are stored.
    moved: Mutex<BTreeMap<(String, Position), Moved>>,
    bug: Option<ImportBug>,
}

impl Broken {
    /// One transaction for each event.
    async fn import_each(&self, import: Import) -> Result<Cursor> {
        let mut head = import.after();
        for event in import.into_events() {
            head = self.store.import(Import::new(head, vec![event])).await?;
        }
        Ok(head)
    }

    async fn compare_first(&self, import: Import) -> Result<Cursor> {
        let mut import = import;
        if self.store.head().await? == import.after() {
            // Others import meanwhile.
            tokio::task::yield_now().await;
            let head = self.store.head().await?;
            let mut at = head.position();
            let events = import.into_events().into_iter().map(|event| {
                at = event.position().max(at.next());
                placed(&event, at)
            });
            import = Import::new(head, events.collect());
        }
        self.store.import(import).await
    }
}

#[async_trait]
impl ImportStore for Broken {
    async fn import(&self, import: Import) -> Result<Cursor> {
        match self.bug {
            None | Some(ImportBug::ReportsNoImports) => self.store.import(import).await,
            Some(ImportBug::TakesItsOwnTime) => {
                let events = import.events().iter().map(recorded_now).collect();
                self.store.import(Import::new(import.after(), events)).await
            }
            Some(ImportBug::KeepsWhatFits) => self.import_each(import).await,
            Some(ImportBug::ComparesTheEndBeforeTheLock) => self.compare_first(import).await,
            Some(ImportBug::RecordsMovesFirst) => {
                import.validate()?;
                if let Some(moved) = import.moved().cloned() {
                    let mut all = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
                    all.insert((moved.source.clone(), moved.old_from), moved);
                }
                self.store.import(import).await
            }
        }
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        if self.bug == Some(ImportBug::RecordsMovesFirst) {
            let all = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(all.values().cloned().collect());
        }
        self.store.moved().await
    }
}

fn placed(event: &Event, at: Position) -> Event {
    let (stream, content) = (event.stream().clone(), event.content().clone());
    Event::new(at, stream, event.version(), event.recorded_at(), content)
}

fn recorded_now(event: &Event) -> Event {
    let (stream, content) = (event.stream().clone(), event.content().clone());
    Event::new(event.position(), stream, event.version(), Timestamp::now(), content)
}

#[async_trait]
impl EventStore for Broken {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.store.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.store.head().await
    }

    fn commits(&self) -> Option<Commits> {
        let is_silent = self.bug == Some(ImportBug::ReportsNoImports);
        if is_silent { self.silent.commits() } else { self.store.commits() }
    }
}
