//! Store, bus and tail: what an application holds.

mod append;
mod builder;
mod handle;
mod item;
mod publisher;
mod ring;
mod shared;
mod stats;
mod subscribe;
mod subscription;
mod tail;

pub use builder::HubBuilder;
pub use handle::Hub;
pub use item::Item;
pub use stats::HubStats;
pub use subscribe::{After, Subscribe};
pub use subscription::Subscription;

#[cfg(test)]
mod tests;
