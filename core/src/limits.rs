//! The limits of every store, the same for all, so that an application can
//! change its backend without learning new ones.
//!
//! Going past one of them is [`TooLarge`](crate::ErrorKind::TooLarge), before
//! anything is written (law `limits_are_typed_errors`).

use std::time::Duration;

/// The length of a stream id, an event type, a tag or a content type, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The payload of one event, in bytes: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// The metadata of one event, in bytes: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 << 10;

/// The tags of one event.
pub const MAX_TAGS: usize = 64;

/// The events of one append, over all its streams.
pub const MAX_EVENTS_PER_APPEND: usize = 1_000;

/// The payloads and metadata of one append together, in bytes: 16 MiB.
pub const MAX_APPEND_BYTES: usize = 16 << 20;

/// How deeply arrays and objects may nest in a JSON payload or in metadata; what
/// nests deeper is [`Invalid`](crate::ErrorKind::Invalid), as all JSON is that
/// common readers refuse.
pub const MAX_JSON_DEPTH: usize = 64;

/// The values of one filter, over all its alternatives and groups, and its
/// alternatives; each of those that are joined has its own.
pub const MAX_FILTER_VALUES: usize = 64;

/// How many filters may be [joined by *and*](crate::Filter::and): a client's own,
/// its rights, and what else narrows them.
pub const MAX_FILTER_QUERIES: usize = 16;

/// The [checks](crate::Check) of one append. Each of them may look at many
/// events while all other appends wait.
pub const MAX_CHECKS_PER_APPEND: usize = 64;

/// The length of a number in a JSON payload or in metadata, in characters.
pub const MAX_JSON_NUMBER: usize = 1_000;

/// The events of one page. A larger limit is taken as this.
pub const MAX_PAGE_EVENTS: usize = 1_000;

/// The longest time that an option takes: a day. A longer one ("never") is taken
/// as this, so that it can be added to a moment.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
