#![doc = include_str!("../README.md")]

mod batch;
mod connection;
mod error;
mod log;
mod merge;
mod names;
mod options;
mod queue;
mod reader;
mod row;
mod snapshot;
mod store;
mod stream;
mod taking;
mod transaction;
mod verify;
mod writer;

pub use downlink_sqlite_schema::Durability;
pub use options::Options;
pub use store::{RusqliteStore, open};
pub use verify::{Problem, VerifyReport, verify};
