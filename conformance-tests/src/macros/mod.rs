//! One macro for each group of laws: it declares a `#[test]` for each law.

mod expand;
mod live;
mod matrix;
mod projection;
mod snapshot;
mod store;
mod subscription;
mod transport;
