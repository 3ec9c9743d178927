#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
pub mod client;
mod connection;
mod exposure;
pub mod feed;
mod headers;
pub mod ops;
pub mod serve;
#[cfg(feature = "client")]
mod sse;
pub mod wire;

pub use connection::Connection;
pub use exposure::Exposure;
#[cfg(feature = "client")]
pub use sse::Sse;
