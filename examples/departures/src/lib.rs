#![doc = include_str!("../README.md")]

pub mod first_departures;
pub mod flight;
pub mod through_rusqlite;
pub mod through_sqlx;
pub mod version_2;
