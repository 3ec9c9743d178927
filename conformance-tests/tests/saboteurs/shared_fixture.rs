use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, EventStore, LocalBus, Result};
use downlink_conformance_tests::cross_process::{CrossProcessSetup, Respawn};
use downlink_conformance_tests::{CrossProcessFixture, Guard, WriteLock};
use tokio_util::task::AbortOnDropHandle;

use crate::shared_bug::SharedBug;
use crate::shared_file::SharedFile;
use crate::sqlite_fixture::{Lock, folder};

/// The argument that makes this program the other process; the name of a bug
/// follows it.
pub(crate) const OTHER_PROCESS: &str = "--other-process";

const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
const SHORT_LOCK_TIMEOUT: Duration = Duration::from_millis(20);

/// Tests logs that several processes share, with this bug or none.
pub(crate) fn shared(broken: Option<SharedBug>) -> CrossProcessSetup {
    let name = broken.map_or_else(|| "none".to_owned(), |bug| format!("{bug:?}"));
    CrossProcessSetup::new(BrokenFiles(broken), Respawn::with_arguments([OTHER_PROCESS, &name]))
}

/// Runs the child's part if this is the other process. Returns whether it is.
pub(crate) fn is_other_process(arguments: &[String]) -> bool {
    match arguments {
        [first, name] if first == OTHER_PROCESS => shared(SharedBug::named(name)).runs_as_child(),
        _ => false,
    }
}

struct BrokenFiles(Option<SharedBug>);

#[async_trait]
impl CrossProcessFixture for BrokenFiles {
    async fn create(&self) -> Result<(String, Guard)> {
        let (folder, file) = folder()?;
        Ok((file.display().to_string(), Guard::new(folder)))
    }

    async fn open(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        let store = SharedFile::open(Path::new(address), self.0, LOCK_TIMEOUT)?;
        let bus: Arc<dyn Bus> = match self.0 {
            Some(SharedBug::ReceivesOnlyHintsOfItsOwnProcess) => Arc::new(LocalBus::new()),
            _ => Arc::new(PollingBus::over(store.clone())),
        };
        Ok((Arc::new(store), bus))
    }

    async fn open_in_child(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        self.open(address).await
    }

    async fn open_with_short_timeout(&self) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let (folder, file) = folder()?;
        let store = SharedFile::open(&file, self.0, SHORT_LOCK_TIMEOUT)?;
        Ok((Arc::new(store), Box::new(Lock::of(folder, &file)?)))
    }

    async fn verify(&self, _: &str) -> Result<()> {
        // Nothing to verify: the laws compare the versions of all events.
        Ok(())
    }
}

/// A bus that polls the log.
#[derive(Debug)]
struct PollingBus {
    local: LocalBus,
    _polling: AbortOnDropHandle<()>,
}

impl PollingBus {
    fn over(store: SharedFile) -> Self {
        let local = LocalBus::new();
        let polling = tokio::spawn(poll(store, local.clone()));
        Self { local, _polling: AbortOnDropHandle::new(polling) }
    }
}

async fn poll(store: SharedFile, local: LocalBus) {
    let mut pauses = tokio::time::interval(Duration::from_millis(5));
    let mut last = None;
    loop {
        pauses.tick().await;
        let head = store.head().await.ok();
        if head != last {
            last = head;
            local.wake(Hint::anything());
        }
    }
}

#[async_trait]
impl Bus for PollingBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        self.local.publish(hint).await
    }

    async fn listen(&self) -> Result<Listener> {
        self.local.listen().await
    }
}
