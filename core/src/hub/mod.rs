//! Store, bus and tail: what an application holds.

mod announcement;
mod append;
mod builder;
mod catch_up;
mod handle;
mod item;
mod link;
mod pages;
mod place;
mod publisher;
mod retries;
mod ring;
mod run;
mod shared;
mod stats;
mod stretch;
mod subscribe;
mod subscription;
mod tail;
mod turns;

pub use builder::HubBuilder;
pub use handle::Hub;
pub use item::Item;
pub(crate) use link::HubLink;
pub(crate) use retries::Retries;
pub use stats::HubStats;
pub use subscribe::{After, Subscribe};
pub use subscription::Subscription;

#[cfg(test)]
mod tests;
