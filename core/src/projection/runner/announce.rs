//! The part of the runner that calls `on_applied`, once for each event of the
//! live version.

use futures::FutureExt;
use tracing::{error, warn};

use super::Runner;
use super::command::{Interruption, Outcome};
use crate::cursor::Cursor;
use crate::event::Event;
use crate::limits;
use crate::projection::DeadLetter;
use crate::store::{Page, Read, ReadLog};
use crate::supervise::{logged, unwound};

impl<Tx: ?Sized + Send + 'static> Runner<Tx> {
    /// Announces events that are in the read model but were not announced,
    /// because this version has replaced another one or because the program
    /// ended.
    ///
    /// A cursor marks what was announced. If it belongs to another history, as
    /// after a restore, everything in the current log counts as announced,
    /// since it is unknown which of its events were.
    pub(super) async fn announce_missing(&mut self) -> Outcome<()> {
        while let Some(announced) = self.retry(|runner| runner.store.announced(&runner.id)).await? {
            if !self.is_of_this_log(announced).await? {
                return self.begin_after_the_head(announced).await;
            }
            let checkpoint = self.checkpoint();
            if announced.position() >= checkpoint.position()
                || !self.is_of_this_log(checkpoint).await?
            {
                return Ok(());
            }
            let (to, events) = self.missing(announced, checkpoint).await?;
            if self.retry(move |runner| runner.store.announce(&runner.id, announced, to)).await? {
                self.announce(events).await;
            }
        }
        Ok(())
    }

    async fn is_of_this_log(&mut self, cursor: Cursor) -> Outcome<bool> {
        match self.read(Read::log().with_after(cursor).with_limit(0)).await {
            Ok(_) => Ok(true),
            Err(Interruption::Failed(error)) if error.is_other_history() => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The next events of the read model, without skipped ones, and the cursor
    /// up to which they reach.
    async fn missing(&mut self, after: Cursor, to: Cursor) -> Outcome<(Cursor, Vec<Event>)> {
        if self.on_applied.is_none() {
            return Ok((to, Vec::new()));
        }
        let read = Read::log().with_after(after).with_filter(self.projection.filter());
        let page = read.with_limit(self.limits.events).with_max_bytes(self.limits.bytes);
        let page = self.read(page).await?;
        let passed_over = self
            .retry(|runner| {
                runner.store.dead_letters(&runner.id, after.position(), limits::MAX_PAGE_EVENTS)
            })
            .await?;
        let is_in_the_model = |event: &Event| {
            let is_cursor = |letter: &DeadLetter| letter.cursor == event.cursor();
            event.position() <= to.position() && !passed_over.iter().any(is_cursor)
        };
        let events = page.events.into_iter().filter(is_in_the_model).collect();
        let reaches = page.scanned.position() >= to.position();
        Ok((if reaches { to } else { page.scanned }, events))
    }

    pub(super) async fn read(&mut self, read: ReadLog) -> Outcome<Page> {
        let hub = self.hub.clone();
        self.retry(move |_| hub.clone().read_log(read.clone()).boxed()).await
    }

    async fn begin_after_the_head(&mut self, announced: Cursor) -> Outcome<()> {
        let hub = self.hub.clone();
        let head = self.retry(move |_| hub.clone().head().boxed()).await?;
        let id = &self.id;
        logged(
            || error!(projection = %id, %announced, %head, "the log was replaced; its current events are not announced"),
        );
        self.retry(move |runner| runner.store.announce(&runner.id, announced, head)).await?;
        Ok(())
    }

    pub(super) async fn announce(&self, events: Vec<Event>) {
        if let Some(after) = self.on_applied.as_ref().filter(|_| !events.is_empty())
            && let Err(error) = unwound(async { after(events).await }).await
        {
            let id = &self.id;
            logged(|| warn!(projection = %id, %error, "on_applied panicked"));
        }
    }
}
