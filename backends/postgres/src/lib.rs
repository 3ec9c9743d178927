#![doc = include_str!("../README.md")]

mod connection;
mod driver;
mod error;
mod log_page;
mod options;
mod page_builder;
mod readers;
mod row;
mod sql;
mod store;
mod stream_page;

pub use options::Options;
pub use store::PostgresStore;
