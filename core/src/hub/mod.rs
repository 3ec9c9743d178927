//! The hub: joins a store and a bus, and serves subscriptions.

mod announcement;
mod append;
mod bounds;
mod cached_page;
mod catch_up;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod hub;
mod hub_builder;
mod item;
mod link;
mod page_cache;
mod page_read;
mod publisher;
mod read_limiter;
mod ring;
mod shared;
mod start_cursor;
mod stats;
mod subscribe;
mod subscription;
mod tail;

pub use hub::Hub;
pub use hub_builder::HubBuilder;
pub use item::Item;
pub(crate) use link::HubLink;
pub use stats::HubStats;
pub use subscribe::{After, Subscribe};
pub use subscription::Subscription;

#[cfg(test)]
mod tests;
