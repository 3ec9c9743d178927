//! What the benchmarks of the server have in common.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod connection;
pub(crate) mod disk;
pub(crate) mod follower;
pub(crate) mod log_file;
pub(crate) mod protocol;
pub(crate) mod times;
pub(crate) mod warm_up;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
