//! The hub: connects a store and a bus, appends events, and serves
//! subscriptions.

mod append;
mod begun;
mod bounds;
mod cached_page;
mod catch_up;
mod checkpoint_ticks;
mod examiner;
mod fan_out;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod hub;
mod hub_builder;
mod hub_link;
mod hub_stats;
mod item;
mod page_cache;
mod page_read;
mod page_room;
mod pending_hint;
mod publisher;
mod read_limiter;
mod ring;
mod shared;
mod start_cursor;
mod store_step;
mod subscribe;
mod subscription;
mod tail;
mod translate;

pub use hub::Hub;
pub use hub_builder::HubBuilder;
pub(crate) use hub_link::{Hints, HubLink};
pub use hub_stats::HubStats;
pub use item::Item;
pub use subscribe::{After, Subscribe};
pub use subscription::Subscription;

#[cfg(test)]
mod tests;
