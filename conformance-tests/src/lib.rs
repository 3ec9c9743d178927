#![doc = include_str!("../README.md")]
#![expect(clippy::missing_panics_doc, reason = "a law that is broken panics: it is a test")]

pub mod black_box;
pub mod bus;
pub mod cross_process;
pub mod faults;
mod fixture;
mod history;
pub mod lists;
pub mod live;
mod macros;
mod model;
mod operations;
pub mod projection;
mod run;
pub mod sample;
pub mod snapshot;
pub mod store;
pub mod subscription;
mod tasks;
pub mod transport;

pub use fixture::{
    Application, AuthorizingFixture, Backups, BoundedFixture, BusFixture, CrossProcessFixture,
    DurableFixture, DurableLog, GroupCommitFixture, Guard, ReauthorizingFixture,
    ReplaceableFixture, ShortTimeoutFixture, SnapshotFixture, SnapshotPlace, StoreFixture,
    TransactionStep, TransactionalFixture, TransportFixture, Visibility, WriteLock,
};
pub use history::Recorder;
pub use model::{ExpectedOutcome, Model};
pub use operations::{
    Expectation, Misuse, Operation, any_append, any_misuse, any_operation, any_read, any_repeat,
};
pub use run::{DEADLINE, LawRun, check, check_property};
pub use tasks::set_timeout;
