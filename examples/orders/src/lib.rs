//! Gate Service: users order food to their gate and see only their own orders;
//! administrators deliver them, and see a dashboard of all.
//!
//! An order is a stream, with [`Orders`] as its rules. Its events have the customer as
//! a tag, and the tag is what a customer has rights to, on every way out of the log.
//! Whether a user is an administrator is decided by events, too.
//!
//! The README has a tour.

#![expect(clippy::missing_panics_doc, reason = "names of users are valid in tags and streams")]

mod api;
mod app;
mod assets;
mod dashboard;
mod options;
mod order;
mod order_list;
mod roles;
mod service;
#[cfg(test)]
mod types;
mod user;

pub use options::Options;
pub use order::{Cart, Item, Order, OrderCommand, OrderEvent, Orders, Refused, Status};
pub use order_list::{OrderList, OrderRow, order_projection};
pub use roles::{RoleEvent, role_projection};
pub use service::serve;
pub use user::User;
