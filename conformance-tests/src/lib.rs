#![doc = include_str!("../README.md")]
#![expect(clippy::missing_panics_doc, reason = "a law that is broken panics: it is a test")]

pub mod bus;
pub mod faults;
mod fixture;
mod history;
pub mod lists;
mod macros;
mod model;
mod run;
pub mod sample;
mod steps;
pub mod store;
pub mod subscription;
mod tasks;
pub mod transport;

pub use fixture::{
    Backups, BoundedFixture, Brake, BusFixture, DurableFixture, GroupingFixture, Guard, Place,
    ReplaceableFixture, StoreFixture, TransportFixture,
};
pub use history::Recorder;
pub use model::{Model, Verdict};
pub use run::{DEADLINE, Run, check, check_property};
pub use steps::{Misuse, Step, Want, any_append, any_misuse, any_read, any_repeat, any_step};
pub use tasks::set_patience;
