#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("this example reads and writes with `FileExt`, which only Unix has");

mod driver;
mod log;
mod record;
mod row;
mod store;

pub use store::FileStore;
