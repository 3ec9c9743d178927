use std::collections::HashSet;

use super::decision::Decision;
use super::{Boundary, Facts, LogHead, Needs, Plan};
use crate::event::{NewEvent, Timestamp};
use crate::store::{Append, Check};

/// Appends that are decided together, in this order.
#[derive(Clone, Debug)]
pub struct Group {
    appends: Vec<Append>,
}

impl Group {
    /// Creates a group of appends, each of which has passed
    /// [`Append::validate`].
    #[must_use]
    pub fn new(appends: Vec<Append>) -> Self {
        Self { appends }
    }

    /// The appends.
    #[must_use]
    pub fn appends(&self) -> &[Append] {
        &self.appends
    }

    /// Returns the appends.
    #[must_use]
    pub fn into_appends(self) -> Vec<Append> {
        self.appends
    }

    /// The parts of the log that the decision needs to know.
    #[must_use]
    pub fn needs(&self) -> Needs<'_> {
        let mut seen = HashSet::new();
        let written = |append: &'_ Append| append.writes.len();
        let mut streams = Vec::with_capacity(self.appends.iter().map(written).sum());
        let mut boundaries = Vec::new();
        for append in &self.appends {
            streams.extend(
                append
                    .writes
                    .iter()
                    .map(|write| &write.stream)
                    .filter(|stream| seen.insert(*stream)),
            );
            for check in &append.checks {
                match check {
                    Check::Stream(stream, _) if seen.insert(stream) => streams.push(stream),
                    Check::Stream(..) => {}
                    Check::NothingAfter(filter, after) => {
                        boundaries.push(Boundary { filter, after: *after });
                    }
                }
            }
        }
        Needs { streams, ids: self.ids(), boundaries }
    }

    fn ids(&self) -> Vec<crate::EventId> {
        let mut ids: Vec<_> =
            self.appends.iter().flat_map(Append::events).map(NewEvent::id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Decides every append, in order. `facts` contains what the group
    /// [needs](Self::needs), read inside the transaction that will insert;
    /// `head` is the end of the log there, and `now` the time of the store's
    /// clock.
    ///
    /// # Panics
    ///
    /// Panics if `facts` has fewer boundaries than the group.
    #[must_use]
    pub fn decide(&self, facts: &Facts, head: LogHead, now: Timestamp) -> Plan {
        let mut boundaries = facts.boundaries.iter();
        let mut decision = Decision::new(facts, head, now);
        let outcomes =
            self.appends.iter().map(|append| decision.take(append, &mut boundaries)).collect();
        decision.into_plan(outcomes)
    }
}
