//! Injected faults: a faulty bus, a store that fails or waits, a dropped
//! future, a connection that is cut or held back.

mod cutting_proxy;
mod drop_after;
mod faulty_bus;
mod faulty_projections;
mod faulty_store;
mod gate;
mod holding_proxy;
mod relay;

pub use cutting_proxy::CuttingProxy;
pub use drop_after::drop_after;
pub use faulty_bus::{BusFault, FaultyBus};
pub use faulty_projections::{FaultyProjections, ProjectionFaults};
pub use faulty_store::FaultyStore;
pub use gate::Gate;
pub use holding_proxy::HoldingProxy;
pub use relay::Relay;
