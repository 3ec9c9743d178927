//! Tests that both drivers share.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../sqlite-schema/tests/driver/backing_up.rs"]
mod backing_up;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/bus.rs"]
mod bus;
#[path = "../../sqlite-schema/tests/driver/damaged_links.rs"]
mod damaged_links;
#[path = "../../sqlite-schema/tests/driver/failing.rs"]
mod failing;
#[path = "../../sqlite-schema/tests/driver/fair_lock.rs"]
mod fair_lock;
#[path = "../../sqlite-schema/tests/driver/formats.rs"]
mod formats;
#[path = "../../sqlite-schema/tests/driver/gaps.rs"]
mod gaps;
#[path = "../../sqlite-schema/tests/driver/indexing.rs"]
mod indexing;
#[path = "../../sqlite-schema/tests/driver/limits.rs"]
mod limits;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/lost_sidecars.rs"]
mod lost_sidecars;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/open_failures.rs"]
mod open_failures;
#[path = "../../sqlite-schema/tests/driver/opening.rs"]
mod opening;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/permissions.rs"]
mod permissions;
#[path = "../../sqlite-schema/tests/driver/querying.rs"]
mod querying;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/replaced.rs"]
mod replaced;
#[path = "../../sqlite-schema/tests/driver/same_as_memory.rs"]
mod same_as_memory;
#[path = "../../sqlite-schema/tests/driver/snapshots.rs"]
mod snapshots;
#[path = "../../sqlite-schema/tests/driver/stopping.rs"]
mod stopping;
mod support;
mod transact;
#[path = "../../sqlite-schema/tests/driver/transacting.rs"]
mod transacting;
#[path = "../../sqlite-schema/tests/driver/verifying.rs"]
mod verifying;
