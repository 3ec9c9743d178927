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

/// Fails a test that hangs.
pub(super) async fn in_time<T>(test: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), test).await.expect("the writer does not hang")
}

/// The future of an append.
pub(super) type Answer = BoxFuture<'static, Result<Appended>>;

/// A writer with a scripted driver.
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
    pub(super) fn submit(&self, append: Append) -> Answer {
        let writer = Arc::clone(&self.writer);
        let mut answer = async move { writer.append(append, &NeverRead).await }.boxed();
        // The first poll queues it.
        match (&mut answer).now_or_never() {
            Some(outcome) => ready(outcome).boxed(),
            None => answer,
        }
    }

    /// Holds the writer in a transaction, so that the appends that are queued
    /// from now on become one group.
    pub(super) async fn hold(&self) -> Answer {
        self.script.hold();
        let first = self.submit(one("First"));
        self.script.until_it_waits().await;
        first
    }

    /// Commits these appends as one group, and returns their outcomes.
    pub(super) async fn commit_together(
        &self,
        appends: impl IntoIterator<Item = Append>,
    ) -> Vec<Result<Appended>> {
        let first = self.hold().await;
        let answers: Vec<_> = appends.into_iter().map(|append| self.submit(append)).collect();
        self.script.release();
        first.await.expect("an append");
        join_all(answers).await
    }

    /// The types of all stored events.
    pub(super) fn stored(&self) -> Vec<String> {
        self.script.state().events.iter().map(|event| event.event_type().to_string()).collect()
    }
}

/// An append of one event of this type to a stream named after it.
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
        unreachable!("the writer does not append to its own store")
    }

    async fn read_log(&self, _: ReadLog) -> Result<Page> {
        panic!("the store was read for an append that was not admitted")
    }

    async fn read_stream(&self, _: ReadStream) -> Result<Page> {
        unreachable!("the writer reads only the log")
    }

    async fn head(&self) -> Result<Cursor> {
        unreachable!("the writer reads only pages")
    }

    fn commits(&self) -> Option<Commits> {
        None
    }
}
