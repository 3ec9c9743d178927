//! Who may see what: logging in, rights that change while streams are open, and secrets.

#![expect(clippy::unwrap_used, reason = "panics are failures")]

mod browser;
mod company;
mod generated;
mod live;
mod logins;
mod revocation;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
