#![doc = include_str!("../README.md")]

mod abandoned;
mod backup;
mod code;
mod database_file;
mod ddl;
mod durability;
mod file;
mod filter;
mod head;
mod indexing;
mod job;
pub mod links;
pub mod many;
mod names;
pub mod number;
mod obstacle;
mod options;
pub mod packed;
mod permissions;
mod polling;
pub mod postings;
mod pragma;
mod probe;
mod projection;
mod query;
mod row;
mod setup;
pub mod sql;
pub mod tags;
mod taking;
mod turnstile;
mod value;
mod verify;
mod writer_cache;

pub use abandoned::{Abandoned, Waiting};
pub use backup::{
    Backup, BackupFiles, BackupProgress, Copying, INSTRUCTIONS_BETWEEN_TICKS, Published,
};
pub use code::{explain, is_constraint, is_full, is_of_the_file};
pub use database_file::{DatabaseFile, LEFT_OPEN, not_in_wal_mode};
pub use ddl::{APPLICATION_ID, CREATE, FORMAT, IDENTITY, MARK, META_FORMAT, MIGRATE_1, MIGRATE_2};
pub use durability::Durability;
pub use file::{FileIdentity, OpenFiles, Seen, missing};
pub use filter::{Condition, named_streams, successor};
pub use head::HeadRow;
pub use indexing::{Indexing, NewPostings};
pub use job::{check_head, not_open};
pub use options::{FileOptions, OpenFile, Options, absolute};
pub use polling::{BusOptions, DATA_VERSION, Lookout};
pub use postings::Search;
pub use pragma::{EMPTY_WAL, Pragmas, WAL};
pub use projection::{ProjectionRow, TABLE_PREFIX, dead_letter_from_sql, is_log_table};
pub use query::{
    INSTRUCTIONS_BETWEEN_LOOKS, QueryLimit, not_live, query_failed, query_has_meddled,
    query_panicked,
};
pub use row::{EventRow, NullableColumns, cursor_from_sql, id_from_sql};
pub use setup::{Identity, MIN_SQLITE, Setup, check_sqlite, sqlite_number};
pub use sql::{EVENT_COLUMNS, HEAD};
pub use taking::{Full, SCAN_BUDGET, Taking};
pub use turnstile::{Pass, Turnstile};
pub use value::Value;
pub use verify::{Problem, Verifier, VerifyReport};
pub use writer_cache::{Tail, WriterCache};
