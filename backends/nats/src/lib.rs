#![doc = include_str!("../README.md")]

mod bus;

pub use async_nats::ConnectOptions;
pub use bus::NatsBus;
