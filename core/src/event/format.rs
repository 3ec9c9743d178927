use std::sync::atomic::{AtomicU64, Ordering};

/// A format in which events are [rendered](crate::Event::rendered).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    name: &'static str,
    /// Zero for all formats that are shared.
    number: u64,
}

impl Format {
    /// The format with this name, the same wherever it is used.
    #[must_use]
    pub const fn shared(name: &'static str) -> Self {
        Self { name, number: 0 }
    }

    /// A format that is different from every other one of the process, for what renders
    /// by options of its own.
    #[must_use]
    pub fn unique(name: &'static str) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self { name, number: LAST.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}
