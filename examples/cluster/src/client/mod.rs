//! The clients outside, and their account of what was acknowledged and delivered.
//!
//! They know one address, that of the proxy, and speak plain HTTP. Nothing here uses a crate of
//! Downlink: what they count does not depend on what the servers believe.

mod appender;
mod event_stream;
mod follower;
pub(crate) mod http;
mod ledger;
mod load;
mod spread;

pub(crate) use self::ledger::{Counts, Phase, Times};
pub(crate) use self::load::Load;
pub(crate) use self::spread::Spread;
