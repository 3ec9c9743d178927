//! Tests of the files of a page that are generated and committed: TypeScript types, and what a
//! bundler has built ([`BuiltFiles`]).
//!
//! # Types
//!
//! [`TypesFile`] has the TypeScript types of events, commands and rows. The file is committed,
//! so that a page builds without Rust, and a test compares it with what the Rust types say now. The types come from [`ts_rs`], which reads serde's
//! attributes and needs no Node. It is a dev-dependency, so that programs do not pay for it:
//!
//! ```no_run
//! # use serde::Serialize;
//! use downlink_page_files::TypesFile;
//!
//! #[derive(Serialize)]
//! # #[derive(ts_rs::TS)] // since this is not a test
//! #[cfg_attr(test, derive(ts_rs::TS))]
//! pub enum FlightEvent {
//!     FlightDeparted { gate: String, passengers: u64 },
//!     FlightLanded,
//! }
//!
//! # stringify! {
//! #[test]
//! # }
//! # ;
//! fn types_are_current() {
//!     TypesFile::new("page/src/types.gen.ts").with::<FlightEvent>().check();
//! }
//! # types_are_current();
//! ```
//!
//! `GENERATE=1 cargo test types_are_current` writes the file; without `GENERATE` the test
//! fails if it would write another content. In the page, `Events<FlightEvent>` of the npm
//! package is the union of the envelopes that a feed delivers.

mod built_files;
mod types_file;

pub use built_files::BuiltFiles;
pub use types_file::TypesFile;
