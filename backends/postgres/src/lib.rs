#![doc = include_str!("../README.md")]

mod connection;
mod driver;
mod error;
mod log;
mod options;
mod reader;
mod row;
mod sql;
mod store;
mod stream;
mod taking;

pub use options::Options;
pub use store::PostgresStore;
