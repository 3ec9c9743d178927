#![doc = include_str!("../README.md")]
#![expect(clippy::missing_panics_doc, reason = "a law that is broken panics: it is a test")]

pub mod black_box;
pub mod bus;
pub mod cross_process;
pub mod faults;
mod fixture;
mod history;
pub mod lists;
mod macros;
mod model;
pub mod projection;
mod run;
pub mod sample;
mod steps;
pub mod store;
pub mod subscription;
mod tasks;
mod transacting;
pub mod transport;

pub use fixture::{
    Backups, BoundedFixture, Brake, BusFixture, CrossProcessFixture, DurableFixture,
    GroupingFixture, Guard, GuardedFixture, ImpatientFixture, Place, ReplaceableFixture, Sight,
    StoreFixture, TransportFixture,
};
pub use history::Recorder;
pub use model::{Model, Verdict};
pub use run::{DEADLINE, Run, check, check_property};
pub use steps::{Misuse, Step, Want, any_append, any_misuse, any_read, any_repeat, any_step};
pub use tasks::set_patience;
pub use transacting::{Application, Doing, TransactingFixture};
