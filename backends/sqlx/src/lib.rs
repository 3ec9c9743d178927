#![doc = include_str!("../README.md")]

mod backup;
mod bus;
mod connection;
mod driver;
mod error;
mod guard;
mod log;
mod merge;
mod names;
mod postings;
mod projections;
mod query;
mod reader;
mod row;
mod savepoint;
mod snapshot;
mod span;
mod store;
mod stream;
mod transaction;
mod tx;
mod verify;

pub use bus::SqlxBus;
pub use downlink_sqlite_schema::{Backup, BackupProgress, BusOptions, Durability};
pub use query::ReadTx;
pub use store::{OnConnect, Options, SqlxStore, open};
pub use transaction::Transaction;
pub use tx::Tx;
pub use verify::{Problem, VerifyReport, verify};
