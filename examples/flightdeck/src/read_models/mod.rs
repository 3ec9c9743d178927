//! The read models: the board, punctuality and the busiest routes.
//!
//! Each is a [`Model`]: tables in the database of the log, and SQL statements for events,
//! which all drivers run. Rows are read together with the cursor of their tables, so a
//! client that follows the log from that cursor misses nothing.

mod board;
mod decoded_event;
mod model;
mod model_store;
mod punctuality;
mod query_result;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod read_models;
mod routes;
#[cfg(test)]
pub(crate) mod rows;
mod sql_model;
mod sql_tx;
#[cfg(test)]
mod tests;

pub(crate) use board::BOARD;
pub(crate) use model::Model;
pub(crate) use model_store::ModelStore;
pub(crate) use punctuality::PUNCTUALITY;
pub(crate) use query_result::{QueryResult, RowFilter};
pub(crate) use read_models::ReadModels;
pub(crate) use routes::ROUTES;
