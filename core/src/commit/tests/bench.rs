use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::time::timeout;

use super::scripted::{Script, Scripted};
use crate::commit::{Commits, Writer, WriterOptions};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::NewEvent;
use crate::store::{Append, Appended, EventStore, Expected, Page, ReadLog, ReadStream};

/// What has not come by then does not come.
pub(super) async fn in_time<T>(test: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), test).await.expect("the writer hangs")
}

/// An append on its way.
pub(super) type Answer = BoxFuture<'static, Result<Appended>>;

/// A writer over a scripted driver.
pub(super) struct Bench<const BLOCKING: bool> {
    pub(super) writer: Arc<Writer<Scripted<BLOCKING>>>,
    pub(super) script: Script,
}

impl<const BLOCKING: bool> Bench<BLOCKING> {
    pub(super) async fn start() -> Self {
        Self::with(WriterOptions::new()).await
    }

    pub(super) async fn with(options: WriterOptions) -> Self {
        let script = Script::default();
        let driver = Scripted::new(&script);
        let writer = Writer::start(ready(Ok(driver)), options).await.unwrap();
        Self { writer: Arc::new(writer), script }
    }

    /// Queues an append.
    pub(super) fn offer(&self, append: Append) -> Answer {
        let writer = Arc::clone(&self.writer);
        let mut answer = async move { writer.append(append, &NeverRead).await }.boxed();
        // It is queued when it is first polled.
        match (&mut answer).now_or_never() {
            Some(outcome) => ready(outcome).boxed(),
            None => answer,
        }
    }

    /// Holds the writer in a transaction of its own, so that what is offered from
    /// now on waits and is one group.
    pub(super) async fn hold(&self) -> Answer {
        self.script.hold();
        let first = self.offer(one("First"));
        self.script.until_it_waits().await;
        first
    }

    /// Commits these together, and returns what became of each.
    pub(super) async fn commit_together(
        &self,
        appends: impl IntoIterator<Item = Append>,
    ) -> Vec<Result<Appended>> {
        let first = self.hold().await;
        let answers: Vec<_> = appends.into_iter().map(|append| self.offer(append)).collect();
        self.script.release();
        first.await.expect("an append");
        join_all(answers).await
    }

    /// The types of all events that are stored.
    pub(super) fn stored(&self) -> Vec<String> {
        self.script.state().events.iter().map(|event| event.event_type().to_string()).collect()
    }
}

/// An append of one event of this type, to a stream of that name.
pub(super) fn one(event_type: &str) -> Append {
    let event = NewEvent::json(event_type, "{}").unwrap();
    Append::to(format!("stream-{event_type}"), Expected::Any, [event]).unwrap()
}

/// A store that must not be read.
#[derive(Debug)]
pub(super) struct NeverRead;

#[async_trait]
impl EventStore for NeverRead {
    async fn append(&self, _: Append) -> Result<Appended> {
        unreachable!("the writer does not append to the store that it writes for")
    }

    async fn read_log(&self, _: ReadLog) -> Result<Page> {
        panic!("the store was read for an append that has no place in the queue")
    }

    async fn read_stream(&self, _: ReadStream) -> Result<Page> {
        unreachable!("the writer reads the log only")
    }

    async fn head(&self) -> Result<Cursor> {
        unreachable!("the writer reads pages only")
    }

    fn commits(&self) -> Option<Commits> {
        None
    }
}
