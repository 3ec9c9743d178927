//! Limits that are the same for every store, so that an application can change
//! its backend without learning new ones.
//!
//! Exceeding one of them is a [`TooLarge`](crate::ErrorKind::TooLarge) error
//! before anything is written (law `limits_are_typed_errors`).

use std::time::Duration;

/// The longest stream id, event type, tag or content type, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The largest payload of one event, in bytes: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// The largest metadata of one event, in bytes: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 << 10;

/// The most tags of one event.
pub const MAX_TAGS: usize = 64;

/// The most events of one append, over all its streams.
pub const MAX_EVENTS_PER_APPEND: usize = 1_000;

/// The largest total size of the events of one append, in bytes of
/// [`NewEvent::size`](crate::NewEvent::size): 16 MiB.
pub const MAX_APPEND_BYTES: usize = 16 << 20;

/// The deepest nesting of arrays and objects in a JSON payload or in metadata.
/// Deeper nesting is [`Invalid`](crate::ErrorKind::Invalid), like all JSON that
/// common parsers reject.
pub const MAX_JSON_DEPTH: usize = 64;

/// The most values in one query (all items and groups together), and the most
/// items in it. Each query that is [joined by *and*](crate::Filter::and) has a
/// limit of its own.
pub const MAX_FILTER_VALUES: usize = 64;

/// The most queries that may be [joined by *and*](crate::Filter::and): a
/// client's own filter, its permissions, and further restrictions.
pub const MAX_FILTER_QUERIES: usize = 16;

/// The most [checks](crate::Check) of one append. Each may examine many events
/// while all other appends wait.
pub const MAX_CHECKS_PER_APPEND: usize = 64;

/// The longest number in a JSON payload or in metadata, in characters.
pub const MAX_JSON_NUMBER_CHARS: usize = 1_000;

/// The most events of one page. A larger limit is reduced to this.
pub const MAX_PAGE_EVENTS: usize = 1_000;

/// The longest deadline, timeout, delay or interval of an option that documents
/// no other maximum: one day. A longer one, such as [`Duration::MAX`] for
/// "never", is reduced to this, so that it can be added to an instant.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most rows of the answer of a live query. An answer with more is refused, never
/// truncated.
pub const MAX_LIVE_ROWS: usize = 5_000;

/// The largest answer of a live query, in bytes of its JSON: 2 MiB.
pub const MAX_LIVE_BYTES: usize = 2 << 20;

/// The most live queries of one [`Live`](crate::live::Live) that are evaluated: each with
/// its scope and parameters, however many subscribers it has.
pub const MAX_LIVE_KEYS: usize = 1_024;

/// The names and values of all parameters of a live query, in bytes.
pub const MAX_LIVE_PARAMETER_BYTES: usize = 8 << 10;

/// The most live queries that one principal may watch at the same time.
pub const MAX_LIVE_KEYS_PER_PRINCIPAL: usize = 32;
