//! Identifiers: of streams, event types, tags, events, positions and versions.

mod event_id;
mod event_type;
mod name;
mod position;
mod projection_id;
mod stream_id;
mod tag;
mod version;

pub use event_id::EventId;
pub use event_type::EventType;
pub use position::Position;
pub use projection_id::ProjectionId;
pub use stream_id::StreamId;
pub use tag::Tag;
pub use version::Version;
