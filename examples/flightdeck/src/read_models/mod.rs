//! The read models: the board, punctuality and the busiest routes.
//!
//! Each is a [`Model`]: tables in the database of the log, and SQL statements for events,
//! which all databases run. Pages follow the rows of live queries.

mod board;
mod decoded_event;
mod model;
mod punctuality;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod read_models;
mod routes;
pub(crate) mod rows;
#[cfg(test)]
mod tests;

pub(crate) use board::BOARD;
pub(crate) use model::Model;
pub(crate) use punctuality::PUNCTUALITY;
pub(crate) use read_models::ReadModels;
pub(crate) use routes::ROUTES;
