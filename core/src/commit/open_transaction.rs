use std::future::Future;

use super::{Driver, Facts, Needs, Plan};
use crate::error::Result;
use crate::store::{Page, ReadLog};

/// The steps that decide and store an append in a transaction that is open and
/// excludes every other writer of the log.
///
/// Every [`Driver`] has them. A backend implements them in addition for
/// transactions that the application has begun on a connection of its own; see
/// [`PreparedAppend`](super::PreparedAppend).
pub trait OpenTransaction: Send {
    /// As [`Driver::facts`].
    fn facts(&mut self, needs: &Needs<'_>) -> impl Future<Output = Result<Facts>> + Send;

    /// As [`Driver::read_log`].
    fn read_log(&mut self, read: ReadLog) -> impl Future<Output = Result<Page>> + Send;

    /// As [`Driver::insert`].
    fn insert(&mut self, plan: &Plan) -> impl Future<Output = Result<()>> + Send;
}

impl<D: Driver> OpenTransaction for D {
    fn facts(&mut self, needs: &Needs<'_>) -> impl Future<Output = Result<Facts>> + Send {
        Driver::facts(self, needs)
    }

    fn read_log(&mut self, read: ReadLog) -> impl Future<Output = Result<Page>> + Send {
        Driver::read_log(self, read)
    }

    fn insert(&mut self, plan: &Plan) -> impl Future<Output = Result<()>> + Send {
        Driver::insert(self, plan)
    }
}
