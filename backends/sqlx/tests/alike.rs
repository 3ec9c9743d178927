//! What both drivers do alike.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../sqlite-schema/tests/driver/agreement.rs"]
mod agreement;
#[path = "../../sqlite-schema/tests/driver/backing_up.rs"]
mod backing_up;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/bus.rs"]
mod bus;
#[path = "../../sqlite-schema/tests/driver/failing.rs"]
mod failing;
#[path = "../../sqlite-schema/tests/driver/formats.rs"]
mod formats;
#[path = "../../sqlite-schema/tests/driver/gaps.rs"]
mod gaps;
#[path = "../../sqlite-schema/tests/driver/indexing.rs"]
mod indexing;
#[path = "../../sqlite-schema/tests/driver/limits.rs"]
mod limits;
#[path = "../../sqlite-schema/tests/driver/opening.rs"]
mod opening;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/permissions.rs"]
mod permissions;
#[path = "../../sqlite-schema/tests/driver/querying.rs"]
mod querying;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/refusing.rs"]
mod refusing;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/replaced.rs"]
mod replaced;
#[path = "../../sqlite-schema/tests/driver/stopping.rs"]
mod stopping;
#[path = "../../sqlite-schema/tests/driver/straying.rs"]
mod straying;
mod support;
mod taking;
#[cfg(unix)]
#[path = "../../sqlite-schema/tests/driver/torn.rs"]
mod torn;
#[path = "../../sqlite-schema/tests/driver/transacting.rs"]
mod transacting;
#[path = "../../sqlite-schema/tests/driver/turns.rs"]
mod turns;
#[path = "../../sqlite-schema/tests/driver/verifying.rs"]
mod verifying;
