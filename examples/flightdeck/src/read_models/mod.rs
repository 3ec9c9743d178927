//! What is asked of the log: the board, punctuality and the busiest routes.
//!
//! Each is a [`Model`]: tables beside the log, and what events change in them, as
//! SQL that both drivers run. An answer is read together with the checkpoint of
//! its tables, so whoever follows the log from there misses nothing.

mod board;
mod decoded_event;
mod model;
mod punctuality;
mod query_result;
mod read_models;
mod routes;
#[cfg(test)]
mod tests;
pub(crate) mod through_rusqlite;
pub(crate) mod through_sqlx;

pub(crate) use board::BOARD;
pub(crate) use model::Model;
pub(crate) use punctuality::PUNCTUALITY;
pub(crate) use query_result::{QueryResult, RowFilter};
pub(crate) use read_models::ReadModels;
pub(crate) use routes::ROUTES;
pub(crate) use through_rusqlite::ThroughRusqlite;
pub(crate) use through_sqlx::ThroughSqlx;
