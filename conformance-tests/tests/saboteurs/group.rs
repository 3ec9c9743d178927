use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::{CommitFeed, Commits};
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{
    Append, Cursor, Error, ErrorKind, EventStore, EventType, MemoryStore, Read, Result,
};
use downlink_conformance_tests::faults::Gate;
use downlink_conformance_tests::{BoundedFixture, GroupCommitFixture, WriteLock};
use tokio::sync::{mpsc, oneshot};

/// The bugs of the broken writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupBug {
    QueuesWithoutBound,
    FailsTheWholeGroup,
    StoresAndReportsAFailure,
    NotifiesARolledBackGroup,
}

/// A store with a queue and one writer, which commits all queued appends as one
/// group.
#[derive(Debug)]
struct Grouping {
    log: MemoryStore,
    feed: Arc<CommitFeed>,
    bug: Option<GroupBug>,
    bounded: mpsc::Sender<Waiting>,
    unbounded: mpsc::UnboundedSender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<Appended>>,
}

struct Writer {
    log: MemoryStore,
    feed: Arc<CommitFeed>,
    bug: Option<GroupBug>,
    poison: Option<EventType>,
    gate: Gate,
}

impl Writer {
    async fn run(
        self,
        mut bounded: mpsc::Receiver<Waiting>,
        mut unbounded: mpsc::UnboundedReceiver<Waiting>,
    ) {
        loop {
            let first = tokio::select! {
                Some(first) = bounded.recv() => first,
                Some(first) = unbounded.recv() => first,
                else => return,
            };
            self.gate.pass().await;
            let mut group = vec![first];
            group.extend(std::iter::from_fn(|| bounded.try_recv().ok()));
            group.extend(std::iter::from_fn(|| unbounded.try_recv().ok()));
            self.commit(group).await;
        }
    }

    async fn commit(&self, group: Vec<Waiting>) {
        let fails = group.iter().any(|waiting| self.has_poison(&waiting.append));
        for Waiting { append, answer } in group {
            let failed = Error::new(ErrorKind::Backend, "a constraint failed");
            let outcome = match self.bug {
                Some(GroupBug::FailsTheWholeGroup) if fails => Err(failed),
                Some(GroupBug::StoresAndReportsAFailure) if self.has_poison(&append) => {
                    self.log.append(append).await.and(Err(failed))
                }
                Some(GroupBug::NotifiesARolledBackGroup) if self.has_poison(&append) => {
                    self.append_and_notify(&self.log.snapshot(), append).await.and(Err(failed))
                }
                _ if self.has_poison(&append) => Err(failed),
                _ => self.append_and_notify(&self.log, append).await,
            };
            // The caller may have dropped its future.
            let _ = answer.send(outcome);
        }
    }

    async fn append_and_notify(&self, log: &MemoryStore, append: Append) -> Result<Appended> {
        let from = log.head().await?;
        let outcome = log.append(append).await;
        let page = log.read_log(Read::log().with_after(from).with_limit(1_000)).await?;
        self.feed.committed(from, page.events);
        outcome
    }

    fn has_poison(&self, append: &Append) -> bool {
        append.events().any(|event| Some(event.event_type()) == self.poison.as_ref())
    }
}

impl Grouping {
    fn start(bug: Option<GroupBug>, queue: usize, poison: Option<EventType>) -> (Self, Gate) {
        let (log, gate) = (MemoryStore::new(), Gate::open());
        let (bounded, from_bounded) = mpsc::channel(queue);
        let (unbounded, from_unbounded) = mpsc::unbounded_channel();
        let feed = Arc::new(CommitFeed::new());
        let writer =
            Writer { log: log.clone(), feed: Arc::clone(&feed), bug, poison, gate: gate.clone() };
        tokio::spawn(writer.run(from_bounded, from_unbounded));
        (Self { log, feed, bug, bounded, unbounded }, gate)
    }
}

#[async_trait]
impl EventStore for Grouping {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { append, answer };
        let gone = || Error::new(ErrorKind::Unavailable, "the writer has stopped");
        if self.bug == Some(GroupBug::QueuesWithoutBound) {
            self.unbounded.send(waiting).map_err(|_| gone())?;
        } else {
            self.bounded
                .try_send(waiting)
                .map_err(|_| Error::new(ErrorKind::Overloaded, "the queue of appends is full"))?;
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.log.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.log.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.log.head().await
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.feed.subscribe())
    }
}

/// Opens stores with a queue and group commits, with this bug or none.
pub(crate) struct BrokenGroup(pub(crate) Option<GroupBug>);

struct Hold(Gate);

#[async_trait]
impl WriteLock for Hold {
    async fn hold(&self) -> Result<()> {
        self.0.close();
        Ok(())
    }

    async fn release(&self) -> Result<()> {
        self.0.release();
        Ok(())
    }
}

#[async_trait]
impl BoundedFixture for BrokenGroup {
    async fn open(&self, queue: usize) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let (store, gate) = Grouping::start(self.0, queue, None);
        Ok((Arc::new(store), Box::new(Hold(gate))))
    }
}

#[async_trait]
impl GroupCommitFixture for BrokenGroup {
    async fn open(&self, poison: &EventType) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let (store, gate) = Grouping::start(self.0, 1_000, Some(poison.clone()));
        Ok((Arc::new(store), Box::new(Hold(gate))))
    }
}
