//! A store, a bus and read models in memory: the reference implementation, for
//! tests and as an example.
//!
//! Nothing here survives the process. The simplest implementation of the
//! store's contract is [`LogIndex`], which stores that keep their events
//! elsewhere can use, too.

mod fold;
mod folded;
mod local_bus;
mod log_index;
mod memory_leases;
mod memory_projections;
mod memory_store;
mod memory_transaction;
mod state_query;

pub use fold::Fold;
pub use folded::Folded;
pub use local_bus::LocalBus;
pub use log_index::LogIndex;
pub use memory_projections::MemoryProjections;
pub use memory_store::MemoryStore;
pub use memory_transaction::MemoryTransaction;
pub use state_query::StateQuery;

use crate::error::Result;
use crate::hub::Hub;

/// Starts a hub with a new [`MemoryStore`] and a [`LocalBus`], for tests.
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
