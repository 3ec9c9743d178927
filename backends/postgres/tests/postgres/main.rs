//! The store over a server of this program's own, which starts with the first
//! test and ends with the program. Without PostgreSQL all of them are ignored.

mod commit_cut;
mod fixture;
mod laws;
mod pair;
mod proxy;
mod server;
