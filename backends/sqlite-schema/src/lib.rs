#![doc = include_str!("../README.md")]

mod aliases;
mod backup;
pub mod batch_sql;
mod bus_options;
mod cancel;
mod condition;
mod database_file;
mod ddl;
mod delete;
mod durability;
mod event_row;
mod fair_lock;
mod file_options;
mod folder_probe;
mod head_row;
mod indexing;
mod job;
pub mod links;
mod moved;
pub mod number;
mod open_failure;
mod open_files;
mod options;
pub mod packed;
mod page_builder;
mod permissions;
mod poll_schedule;
pub mod postings;
mod pragmas;
mod projection_tables;
mod query;
mod result_code;
mod search;
mod setup;
mod snapshot_row;
pub mod sql;
mod stored_lease;
mod tag_cache;
pub mod tags;
mod value;
mod verify;
mod writer_cache;

pub use backup::{
    Backup, BackupFiles, BackupProgress, CopyMonitor, INSTRUCTIONS_BETWEEN_TICKS, PublishedBackup,
};
pub use bus_options::BusOptions;
pub use cancel::{CancelFlag, CancelOnDrop};
pub use condition::{Condition, named_streams, successor};
pub use database_file::{DatabaseFile, LEFT_OPEN};
pub use ddl::{
    APPLICATION_ID, CREATE, FORMAT, IDENTITY, MARK, META_FORMAT, MIGRATE_1, MIGRATE_2, MIGRATE_3,
};
pub use delete::delete_files;
pub use durability::Durability;
pub use event_row::{EventRow, NullableColumns, cursor_from_sql, id_from_sql};
pub use fair_lock::{FairLock, FairLockGuard};
pub use file_options::FileOptions;
pub use head_row::HeadRow;
pub use indexing::Indexing;
pub use job::{check_head, not_open};
pub use moved::moved_from_sql;
pub use open_files::{FileIdentity, FileState, OpenFiles, missing};
pub use options::{OpenFile, Options, absolute_path};
pub use page_builder::{PageBuilder, PageLimit, SCAN_BUDGET};
pub use poll_schedule::{DATA_VERSION, PollSchedule};
pub use postings::NewPostings;
pub use pragmas::{EMPTY_WAL, Pragmas, WAL, not_in_wal_mode};
pub use projection_tables::{TABLE_PREFIX, dead_letter_from_sql, is_log_table};
pub use query::{
    INSTRUCTIONS_BETWEEN_CHECKS, QueryLimit, not_live, query_changed_connection, query_failed,
    query_panicked,
};
pub use result_code::{explain, is_constraint, is_disk_full, is_storage_error};
pub use search::Search;
pub use setup::{Identity, MIN_SQLITE, Setup, check_sqlite, sqlite_number};
pub use snapshot_row::snapshot_from_sql;
pub use sql::{EVENT_COLUMNS, HEAD};
pub use stored_lease::StoredLease;
pub use tag_cache::TagCache;
pub use value::Value;
pub use verify::{Problem, Verifier, VerifyReport};
pub use writer_cache::{Tail, WriterCache};
