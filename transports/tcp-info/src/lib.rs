//! What the kernel knows about the other end of a TCP connection: whether it still
//! answers, and how much of what was sent it has acknowledged.
//!
//! A server cannot tell a slow reader from one that has stopped or vanished by its
//! own writes: the kernel buffers them, and a receiver may withhold window updates
//! for a minute. The kernel's `TCP_INFO` can tell them apart. The crate is separate
//! because asking for it needs one `unsafe` call.
//!
//! # Examples
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let client = TcpStream::connect(listener.local_addr()?)?;
//! match downlink_tcp_info::tcp_info(&client) {
//!     Ok(info) => assert_eq!(info.unanswered_probes, 0),
//!     Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::Unsupported),
//! }
//! # Ok(()) }
//! ```

mod info;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod unsupported;

pub use info::{State, TcpInfo};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::tcp_info;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use unsupported::tcp_info;
