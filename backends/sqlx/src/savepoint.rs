//! A savepoint around foreign code: a name that the code does not know, so that
//! one with this name is in the store's own transaction and in no other.

use std::sync::LazyLock;

use downlink::EventId;

static OPEN: LazyLock<String> = LazyLock::new(|| format!("SAVEPOINT {}", *NAME));
static RELEASE: LazyLock<String> = LazyLock::new(|| format!("RELEASE {}", *NAME));
static NAME: LazyLock<String> = LazyLock::new(|| {
    let random = u128::from_be_bytes(*EventId::now().as_bytes());
    format!("downlink_{random:032x}")
});

/// Opens the savepoint; they nest.
pub(crate) fn open() -> &'static str {
    &OPEN
}

/// Ends the innermost one. Fails if the transaction was ended.
pub(crate) fn release() -> &'static str {
    &RELEASE
}
