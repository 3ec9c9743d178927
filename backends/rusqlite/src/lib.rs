#![doc = include_str!("../README.md")]

mod batch;
mod bus;
mod connection;
mod error;
mod log;
mod merge;
mod names;
mod options;
mod own_transaction;
mod projections;
mod queue;
mod reader;
mod row;
mod snapshot;
mod store;
mod stream;
mod transaction;
mod tx;
mod verify;
mod writer;

pub use bus::RusqliteBus;
pub use downlink_sqlite_schema::{BusOptions, Durability};
pub use options::Options;
pub use store::{RusqliteStore, open};
pub use tx::Tx;
pub use verify::{Problem, VerifyReport, verify};
