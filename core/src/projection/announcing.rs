//! What is done once for each event of the live read model.

use futures::FutureExt;
use tracing::{error, warn};

use super::interruption::{Interruption, Outcome};
use super::task::Task;
use crate::supervise::{logged, unwound};
use crate::{Cursor, DeadLetter, Event, Page, Read, limits};

impl Task {
    /// Announces what is in the read model and was not announced: by a version
    /// before that this one has taken the place of, or because the program ended.
    ///
    /// What was announced is known by a cursor. If that is of another log, as
    /// after a restore, everything that the log has now counts as announced:
    /// what of it was, only the lost log could tell.
    pub(super) async fn announce_missing(&mut self) -> Outcome<()> {
        while let Some(announced) = self.try_on(|target| target.announced()).await? {
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
            if self.try_on(move |target| target.announce(announced, to)).await? {
                self.announce(events).await;
            }
        }
        Ok(())
    }

    async fn is_of_this_log(&mut self, cursor: Cursor) -> Outcome<bool> {
        match self.read(Read::log().resume(cursor).limit(0)).await {
            Ok(_) => Ok(true),
            Err(Interruption::Failed(error)) if error.is_other_history() => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// What of the read model comes next, and up to where that is. What it passed
    /// over is not in it.
    async fn missing(&mut self, after: Cursor, to: Cursor) -> Outcome<(Cursor, Vec<Event>)> {
        if self.after.is_none() {
            return Ok((to, Vec::new()));
        }
        let read = Read::log().resume(after).filter(self.target.filter());
        let page = read.limit(self.bounds.events).max_bytes(self.bounds.bytes);
        let page = self.read(page).await?;
        let passed_over = self
            .try_on(|target| target.dead_letters(after.position(), limits::MAX_PAGE_EVENTS))
            .await?;
        let is_in_the_model = |event: &Event| {
            let is_cursor = |letter: &DeadLetter| letter.cursor == event.cursor();
            event.position() <= to.position() && !passed_over.iter().any(is_cursor)
        };
        let events = page.events.into_iter().filter(is_in_the_model).collect();
        let reaches = page.scanned.position() >= to.position();
        Ok((if reaches { to } else { page.scanned }, events))
    }

    async fn read(&mut self, read: Read) -> Outcome<Page> {
        let hub = self.hub.clone();
        self.try_on(move |_| hub.clone().read(read.clone()).boxed()).await
    }

    async fn begin_after_the_head(&mut self, announced: Cursor) -> Outcome<()> {
        let hub = self.hub.clone();
        let head = self.try_on(move |_| hub.clone().head().boxed()).await?;
        let id = self.target.id();
        logged(|| error!(projection = %id, %announced, %head, "the log is another one"));
        self.try_on(move |target| target.announce(announced, head)).await?;
        Ok(())
    }

    pub(super) async fn announce(&self, events: Vec<Event>) {
        if let Some(after) = self.after.as_ref().filter(|_| !events.is_empty())
            && let Err(error) = unwound(async { after(events).await }).await
        {
            let id = self.target.id();
            logged(|| warn!(projection = %id, %error, "what is done after a step panicked"));
        }
    }
}
