#![doc = include_str!("../README.md")]

mod ddl;
mod durability;
mod file;
mod filter;
mod head;
pub mod links;
pub mod number;
mod pragma;
mod remembered;
mod row;
mod setup;
pub mod sql;
pub mod tags;
mod value;
mod verify;

pub use ddl::{APPLICATION_ID, CREATE, IDENTITY, MARK, USER_VERSION};
pub use durability::Durability;
pub use file::{FileIdentity, OpenFiles, Seen, missing};
pub use filter::{Condition, named_streams, successor};
pub use head::HeadRow;
pub use pragma::{Pragmas, WAL};
pub use remembered::{Remembered, Tail};
pub use row::{EventRow, NullableColumns, cursor_from_sql, id_from_sql};
pub use setup::{Identity, MIN_SQLITE, Setup, check_sqlite};
pub use sql::{EVENT_COLUMNS, HEAD};
pub use value::Value;
pub use verify::{Problem, Verifier, VerifyReport};
