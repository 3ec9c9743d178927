//! A savepoint around application code. The code does not know its name, so a savepoint with
//! this name exists only in the store's own transaction.

use std::sync::LazyLock;

use downlink::EventId;

static OPEN: LazyLock<String> = LazyLock::new(|| format!("SAVEPOINT {}", *NAME));
static RELEASE: LazyLock<String> = LazyLock::new(|| format!("RELEASE {}", *NAME));
static NAME: LazyLock<String> = LazyLock::new(|| {
    let random = u128::from_be_bytes(*EventId::now().as_bytes());
    format!("downlink_{random:032x}")
});

/// Opens the savepoint. Savepoints nest.
pub(crate) fn open() -> &'static str {
    &OPEN
}

/// Releases the innermost savepoint. Fails if the transaction was ended.
pub(crate) fn release() -> &'static str {
    &RELEASE
}
