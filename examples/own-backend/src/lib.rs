#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("this example needs `std::os::unix::fs::FileExt`");

mod driver;
mod log;
mod record;
mod row;
mod store;

pub use store::FileStore;
