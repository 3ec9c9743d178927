//! The part of the runner that waits while another worker has the lease.

use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use super::Runner;
use super::command::{Interruption, Outcome};
use crate::cursor::Cursor;
use crate::hub::Hints;
use crate::projection::{LeaseOutcome, Status};
use crate::supervise::logged;

/// How often the lease is asked for: another worker may have given it up.
const LEASE_POLL: Duration = Duration::from_millis(500);

/// The shortest pause between two reads of the checkpoint, because hints come as fast as commits,
/// and before a lease is asked for that is about to expire.
const SHORTEST_PAUSE: Duration = Duration::from_millis(25);

impl<Tx: ?Sized + Send + 'static> Runner<Tx> {
    /// Waits until this worker has the lease, if it needs one.
    pub(super) async fn hold_lease(&mut self) -> Outcome<()> {
        let mut hints = self.hub.hints();
        loop {
            match self.retry(|runner| runner.keeper.take().boxed()).await? {
                LeaseOutcome::Held => {
                    if let Some(lease) = self.keeper.lease() {
                        let (id, token) = (&self.id, lease.token());
                        logged(|| info!(projection = %id, %token, "this worker has the lease"));
                    }
                    return Ok(());
                }
                LeaseOutcome::HeldByAnother { remaining } => {
                    let pause = remaining.clamp(SHORTEST_PAUSE, LEASE_POLL);
                    self.stand_by(Instant::now() + pause, &mut hints).await?;
                }
            }
        }
    }

    /// Follows the stored checkpoint until this time, or until a reset.
    async fn stand_by(&mut self, until: Instant, hints: &mut Hints) -> Outcome<()> {
        if !matches!(self.progress.borrow().status, Status::Standby) {
            let id = &self.id;
            logged(|| info!(projection = %id, "another worker has the lease"));
            self.set_status(Status::Standby);
        }
        self.read_live_version().await?;
        let announced = self.retry(|runner| runner.store.announced(&runner.id)).await?;
        loop {
            let checkpoint = self.retry(|runner| runner.store.checkpoint(&runner.id)).await?;
            let is_behind = |announced: Cursor| checkpoint.position() < announced.position();
            self.set_rebuilt_elsewhere(announced.is_some_and(is_behind));
            let before = self.checkpoint();
            if checkpoint != before {
                self.is_at(checkpoint, checkpoint);
            }
            if checkpoint.position() < before.position() {
                return Ok(());
            }
            let hint = async {
                sleep(SHORTEST_PAUSE).await;
                hints.changed().await;
            };
            tokio::select! {
                command = self.commands.recv() => {
                    return Err(command.map_or(Interruption::End, Interruption::Command));
                }
                () = sleep_until(until) => return Ok(()),
                () = hint => {}
            }
        }
    }

    pub(super) fn set_rebuilt_elsewhere(&self, is_rebuilt: bool) {
        self.progress.send_if_modified(|progress| {
            std::mem::replace(&mut progress.is_rebuilt_elsewhere, is_rebuilt) != is_rebuilt
        });
    }

    /// Verifies what no step tells while there is none to make: that this worker has the lease,
    /// and that no other one has reset the read model.
    pub(super) async fn verify_checkpoint(&mut self, has_lease: bool) -> Outcome<()> {
        let is_own = has_lease && {
            let stored = self.retry(|runner| runner.store.checkpoint(&runner.id)).await?;
            stored == self.checkpoint()
        };
        if is_own { Ok(()) } else { Err(Interruption::Restart) }
    }
}
