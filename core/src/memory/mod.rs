//! A store, a bus and read models in memory: the reference, for tests and for
//! reading.
//!
//! Nothing here survives the process. What a store promises is written most
//! plainly here, in [`LogIndex`], which stores that keep their events elsewhere
//! use, too.

mod bus;
mod index;
mod projections;
mod store;
mod transaction;

pub use bus::LocalBus;
pub use index::LogIndex;
pub use projections::MemoryProjections;
pub use store::MemoryStore;
pub use transaction::MemoryTransaction;

use crate::error::Result;
use crate::hub::Hub;

/// A hub over a new [`MemoryStore`] and a [`LocalBus`], for tests.
///
/// # Errors
///
/// As [`HubBuilder::start`](crate::hub::HubBuilder::start).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{Expected, NewEvent};
///
/// let hub = downlink::memory::hub().await?;
/// let landed = NewEvent::json("FlightLanded", "{}")?;
/// hub.append_to("flight-UA1545", Expected::NoStream, [landed]).await?;
/// # Ok(()) }
/// ```
pub async fn hub() -> Result<Hub> {
    Hub::builder(MemoryStore::new(), LocalBus::new()).start().await
}
