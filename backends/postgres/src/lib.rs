#![doc = include_str!("../README.md")]

mod bus;
mod condition;
mod connect_error;
mod connection;
mod driver;
mod error;
mod lease;
mod log_page;
mod log_tx;
mod model_sql;
mod moved;
mod options;
mod own_transaction;
mod page_builder;
mod projections;
mod query;
mod readers;
mod replica;
mod row;
mod snapshot_store;
mod sql;
mod statement;
mod store;
mod stream_heads;
mod stream_page;
mod transaction;

pub use bus::PostgresBus;
pub use options::Options;
pub use query::ReadTx;
pub use store::PostgresStore;
pub use transaction::Transaction;
