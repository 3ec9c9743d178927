use std::env;
use std::fmt;
use std::sync::Arc;

use downlink::{Bus, EventStore};
use tokio::process::Command;

use super::log_user::LogUser;
use super::peer::{self, Peer};
use crate::fixture::{CrossProcessFixture, Guard};

/// The environment variable with the address of the log that a started process
/// opens.
const ADDRESS: &str = "DOWNLINK_CONFORMANCE_ADDRESS";

/// A log that several processes share.
pub struct CrossProcessSetup {
    fixture: Arc<dyn CrossProcessFixture>,
    respawn: Respawn,
}

impl fmt::Debug for CrossProcessSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossProcessSetup").field("respawn", &self.respawn).finish_non_exhaustive()
    }
}

/// How to start the program of a test again, so that it reaches
/// [`CrossProcessSetup::runs_as_child`] with the same fixture.
#[derive(Clone, Debug)]
pub struct Respawn {
    arguments: Vec<String>,
}

impl Respawn {
    /// Starts the `#[test]` with this path: `module_path!()`, `::` and the name
    /// of the function.
    #[must_use]
    pub fn of_test(path: &str) -> Self {
        // The harness omits the name of the crate.
        let name = path.split_once("::").map_or(path, |(_, name)| name);
        Self::with_arguments([
            "--exact",
            name,
            "--nocapture",
            "--test-threads=1",
            "--include-ignored",
        ])
    }

    /// Starts the program with these arguments, for a harness of your own.
    #[must_use]
    pub fn with_arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self { arguments: arguments.into_iter().map(ToOwned::to_owned).collect() }
    }

    /// The command that starts the program, with the address of the log to
    /// open.
    ///
    /// # Panics
    ///
    /// Panics if the path of this program is not known.
    #[must_use]
    pub fn command(&self, address: &str) -> Command {
        let program = env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.args(&self.arguments).env(ADDRESS, address);
        command
    }

    /// The address that the parent process passed to this one; `None` if this
    /// is not a started process.
    #[must_use]
    pub fn address() -> Option<String> {
        env::var(ADDRESS).ok()
    }
}

impl CrossProcessSetup {
    /// Tests logs of this fixture, with other processes that are started as
    /// `respawn` says.
    #[must_use]
    pub fn new(fixture: impl CrossProcessFixture, respawn: Respawn) -> Self {
        Self { fixture: Arc::new(fixture), respawn }
    }

    /// If a law in another process has started this one: executes its commands
    /// until they end, and returns `true`.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be opened.
    #[must_use]
    pub fn runs_as_child(&self) -> bool {
        let Some(address) = Respawn::address() else { return false };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let opened = self.fixture.open_in_child(&address).await;
            let (store, bus) = opened.expect("the log that the other process created");
            peer::execute(LogUser::new("there", store, bus)).await;
        });
        runtime.shutdown_background();
        true
    }

    pub(super) fn fixture(&self) -> &dyn CrossProcessFixture {
        &*self.fixture
    }

    pub(super) async fn share(&self) -> Shared<'_> {
        let (address, guard) = self.fixture.create().await.expect("an empty log");
        Shared { setup: self, address, _guard: guard }
    }
}

/// One log.
pub(super) struct Shared<'a> {
    setup: &'a CrossProcessSetup,
    address: String,
    _guard: Guard,
}

impl Shared<'_> {
    pub(super) async fn open(&self) -> (Arc<dyn EventStore>, Arc<dyn Bus>) {
        self.setup.fixture.open(&self.address).await.expect("the log opens")
    }

    /// Opens the log in both ways, in this process.
    pub(super) async fn open_both_ways(&self) -> [(Arc<dyn EventStore>, Arc<dyn Bus>); 2] {
        let elsewhere = self.setup.fixture.open_in_child(&self.address).await;
        [self.open().await, elsewhere.expect("the log opens")]
    }

    /// This process, as a peer.
    pub(super) async fn here(&self) -> Peer {
        let (store, bus) = self.open().await;
        Peer::Handle(Box::new(LogUser::new("here", store, bus)))
    }

    /// Another process.
    pub(super) fn there(&self) -> Peer {
        Peer::spawn(self.setup.respawn.command(&self.address))
    }

    /// Verifies the whole log.
    pub(super) async fn verify(&self) {
        let verified = self.setup.fixture.verify(&self.address).await;
        verified.unwrap_or_else(|error| {
            panic!("the log is damaged after several processes have appended to it: {error}")
        });
    }
}
