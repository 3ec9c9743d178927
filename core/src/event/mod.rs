//! Facts: as they are offered, and as they are stored.

mod content_type;
mod json;
mod new_event;
mod recorded;
#[cfg(test)]
pub(crate) mod sample;
mod shape;
mod timestamp;
pub(crate) mod typed;

pub use content_type::ContentType;
pub use new_event::{NewEvent, StoredParts};
pub use recorded::Event;
pub use timestamp::Timestamp;
pub use typed::IntoNewEvent;
