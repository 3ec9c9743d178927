//! Events: new ones to append, and stored ones.

mod content_type;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod event;
mod format;
mod into_new_event;
mod json;
mod new_event;
#[cfg(test)]
pub(crate) mod sample;
mod shape;
pub(crate) mod typed;

pub use crate::timestamp::Timestamp;
pub use content_type::ContentType;
pub use event::Event;
pub use format::Format;
pub use into_new_event::IntoNewEvent;
pub use new_event::{NewEvent, StoredParts};
