#![doc = include_str!("../README.md")]

pub mod flight;
pub mod morning;
pub mod through_rusqlite;
pub mod through_sqlx;
pub mod version_2;
