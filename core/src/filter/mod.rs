//! Filters: which events a reader wants, or may see.

#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod filter;
mod filter_item;
mod pattern;

pub use filter::Filter;
pub use filter_item::{FilterItem, FilterItemParts};
pub use pattern::Pattern;

#[cfg(test)]
mod tests;
