#![doc = include_str!("../README.md")]

mod bus_url;
pub mod copy;
mod log;
mod models;
mod postgres_tx;
mod row;
mod rusqlite_tx;
mod sql_tx;
mod sqlx_tx;
mod store_url;
mod value;

pub use bus_url::BusUrl;
pub use downlink_rusqlite::Durability;
pub use log::{Log, Options};
pub use row::Row;
pub use sql_tx::{Dialect, SqlTx, Tx};
pub use store_url::StoreUrl;
pub use value::Value;
