use tokio::task::consume_budget;

use super::Runner;
use super::batch::{Batch, Reach};
use super::command::{Interruption, Outcome};
use crate::hub::{Item, Subscription};

impl<Tx: ?Sized + Send + 'static> Runner<Tx> {
    /// Gathers the waiting events; far from the end of the log, waits until a
    /// batch is full.
    pub(super) async fn gather(
        &mut self,
        subscription: &mut Subscription,
        reach: &mut Reach,
    ) -> Outcome<Batch> {
        let mut batch = Batch::after(self.checkpoint());
        loop {
            while !batch.is_full(self.limits)
                && let Some(item) = subscription.try_next()
            {
                self.notice(&item, reach);
                batch.push(item);
            }
            if let Some(cursor) = subscription.scanned() {
                batch.looked_up_to(cursor);
            }
            if batch.events.is_empty() {
                self.is_at(self.checkpoint(), batch.to);
            }
            if *reach == Reach::Live && !batch.is_full(self.limits) && has_everything(subscription)
            {
                *reach = Reach::AtHead;
                batch.is_at_head = true;
            }
            let has_all = batch.is_at_head || (*reach == Reach::AtHead && !batch.events.is_empty());
            if has_all || batch.is_full(self.limits) || batch.is_due() {
                return Ok(batch);
            }
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    return Err(command.map_or(Interruption::End, Interruption::Command));
                }
                turn = subscription.next_or_progress() => match turn {
                    None => return Err(Interruption::End),
                    Some(Ok(None)) => consume_budget().await,
                    Some(Ok(Some(item))) => {
                        self.notice(&item, reach);
                        batch.push(item);
                    }
                    Some(Err(error)) if error.is_other_history() => return Err(Interruption::Restart),
                    Some(Err(error)) => return Err(Interruption::Failed(error)),
                },
                has_lease = self.keeper.prolonged() => self.verify_checkpoint(has_lease).await?,
                () = batch.until_due() => {}
            }
        }
    }

    fn notice(&mut self, item: &Item, reach: &mut Reach) {
        match item {
            Item::Live { .. } => *reach = Reach::Live,
            Item::Behind { .. } => {
                *reach = Reach::Behind;
                self.set_behind();
            }
            Item::Event(_) | Item::Checkpoint(_) => {}
        }
    }
}

fn has_everything(subscription: &Subscription) -> bool {
    let tip = subscription.cached_head().position();
    subscription.scanned().is_some_and(|scanned| scanned.position() >= tip)
}
