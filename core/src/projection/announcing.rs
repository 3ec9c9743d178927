//! What is done once for each event of the live read model.

use futures::FutureExt;
use tracing::{error, warn};

use super::interruption::{Interruption, Outcome};
use super::task::Task;
use crate::supervise::{logged, unwound};
use crate::{Cursor, Event, Page, Read};

impl Task {
    /// Announces what is in the read model and was not announced: by a version
    /// before that this one has taken the place of, or because the program ended.
    ///
    /// What was announced is known by a cursor. If that is of another log, as
    /// after a restore, everything that the log has now counts as announced:
    /// what of it was, only the lost log could tell.
    pub(super) async fn announce_missing(&mut self) -> Outcome<()> {
        while let Some(announced) = self.try_on(|target| target.announced()).await? {
            let page = match self.page_after(announced).await {
                Ok(page) => page,
                Err(Interruption::Failed(error)) if error.is_other_history() => {
                    return self.begin_after_the_head(announced).await;
                }
                Err(other) => return Err(other),
            };
            let checkpoint = self.checkpoint().position();
            let is_in_the_model = |event: &Event| event.position() <= checkpoint;
            let events: Vec<_> = page.events.into_iter().filter(is_in_the_model).collect();
            // Without anything to tell, all of it is told.
            let reaches = self.after.is_none() || page.scanned.position() >= checkpoint;
            let to = if reaches { self.checkpoint() } else { page.scanned };
            if to.position() <= announced.position() {
                return Ok(());
            }
            if self.try_on(move |target| target.announce(announced, to)).await? {
                self.announce(events).await;
            }
        }
        Ok(())
    }

    /// What comes after it and matches; nothing but the check of the cursor if
    /// none is to be told.
    async fn page_after(&mut self, announced: Cursor) -> Outcome<Page> {
        let read = Read::log().resume(announced).filter(self.target.filter());
        let is_missing = announced.position() < self.checkpoint().position();
        let read = match self.after {
            Some(_) if is_missing => read.limit(self.bounds.events).max_bytes(self.bounds.bytes),
            _ => read.limit(0),
        };
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
