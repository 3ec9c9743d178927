use tokio::task::consume_budget;

use super::batch::Batch;
use super::interruption::{Interruption, Outcome};
use super::task::Task;
use crate::{Item, Subscription};

impl Task {
    /// Takes what waits; while the end of the log is far, waits until a batch
    /// is full.
    pub(super) async fn gather(
        &mut self,
        subscription: &mut Subscription,
        is_live: &mut bool,
    ) -> Outcome<Batch> {
        let mut batch = Batch::after(self.checkpoint());
        loop {
            while !batch.is_full(self.bounds)
                && let Some(item) = subscription.try_next()
            {
                self.notice(&item, is_live);
                batch.push(item);
            }
            if let Some(cursor) = subscription.scanned() {
                batch.looked_up_to(cursor);
            }
            if batch.events.is_empty() {
                self.is_at(self.checkpoint(), batch.to);
            }
            let has_all = batch.is_at_head || (*is_live && !batch.events.is_empty());
            if has_all || batch.is_full(self.bounds) || batch.is_due() {
                return Ok(batch);
            }
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    return Err(command.map_or(Interruption::End, Interruption::Command));
                }
                turn = subscription.turn() => match turn {
                    None => return Err(Interruption::End),
                    Some(Ok(None)) => consume_budget().await,
                    Some(Ok(Some(item))) => {
                        self.notice(&item, is_live);
                        batch.push(item);
                    }
                    Some(Err(error)) if error.is_other_history() => return Err(Interruption::Elsewhere),
                    Some(Err(error)) => return Err(Interruption::Failed(error)),
                },
                () = batch.until_due() => {}
            }
        }
    }

    fn notice(&mut self, item: &Item, is_live: &mut bool) {
        match item {
            Item::Live { .. } => *is_live = true,
            Item::Behind { .. } => {
                *is_live = false;
                self.tell_behind();
            }
            Item::Event(_) | Item::Checkpoint(_) => {}
        }
    }
}
