#![doc = include_str!("../README.md")]

mod append_transaction;
mod backup;
mod bus;
mod connection;
mod driver;
mod error;
mod file;
mod guard;
mod lease;
mod log_page;
mod merge;
mod moved;
mod name_cache;
mod postings;
mod projections;
mod query;
mod readers;
mod row;
mod savepoint;
mod snapshot;
mod snapshot_store;
mod span;
mod statement;
mod store;
mod stream_page;
mod transaction;
mod tx;
mod verify;

pub use bus::SqlxBus;
pub use downlink_sqlite_schema::{Backup, BackupProgress, BusOptions, Durability};
pub use file::OnConnect;
pub use query::ReadTx;
pub use store::{Options, SqlxStore, open};
pub use transaction::Transaction;
pub use tx::Tx;
pub use verify::{Problem, VerifyReport, verify};
