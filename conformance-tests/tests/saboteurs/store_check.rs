use std::collections::HashMap;

use downlink::error::FailedCheck;
use downlink::store::{Appended, Written};
use downlink::{
    Append, Check, Cursor, Error, ErrorKind, Event, EventId, Expected, NewEvent, Result, StreamId,
    Version,
};

use crate::store_bug::Bug;
use crate::store_read;

/// The state of the log on which the outcome of an append depends.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The versions after which new events are numbered.
    pub(crate) versions: HashMap<StreamId, Version>,
    /// Known events by id.
    pub(crate) known: HashMap<EventId, Event>,
    /// The versions that expectations of writes are compared with.
    expected: HashMap<StreamId, Version>,
    /// The versions that checks on other streams are compared with.
    others: HashMap<StreamId, Version>,
    /// The events that boundaries are checked against.
    boundaries: Vec<Event>,
}

impl Facts {
    pub(crate) fn new<'a>(
        events: &[Event],
        known: impl Iterator<Item = &'a Event>,
        append: &Append,
        bug: Option<Bug>,
    ) -> Self {
        let mut versions = HashMap::new();
        for event in events {
            for write in &append.writes {
                if same_name(&write.stream, event.stream(), bug) {
                    versions.insert(write.stream.clone(), event.version());
                }
            }
            versions.insert(event.stream().clone(), event.version());
        }
        let known = known.map(|event| (event.id(), event.clone())).collect();
        let (expected, others) = (versions.clone(), versions.clone());
        Self { versions, known, expected, others, boundaries: events.to_vec() }
    }

    /// Uses these cached versions instead.
    pub(crate) fn use_cached(&mut self, cached: &HashMap<StreamId, Version>) {
        let cached = || cached.iter().map(|(name, version)| (name.clone(), *version));
        self.expected.extend(cached());
        self.versions.extend(cached());
    }

    /// Replaces the facts that the store with this bug reads before it takes the lock.
    pub(crate) fn with_early(mut self, bug: Option<Bug>, early: &Self) -> Self {
        match bug {
            Some(Bug::ChecksBeforeTheLock) => self.expected.clone_from(&early.expected),
            Some(Bug::ChecksIdsBeforeTheLock) => self.known.clone_from(&early.known),
            Some(Bug::ChecksOtherStreamsBeforeTheLock) => self.others.clone_from(&early.others),
            Some(Bug::ChecksBoundariesBeforeTheLock) => {
                self.boundaries.clone_from(&early.boundaries);
            }
            _ => {}
        }
        self
    }

    /// All checks that fail.
    pub(crate) fn failed(&self, append: &Append, bug: Option<Bug>) -> Result<Vec<FailedCheck>> {
        let mut failed = Vec::new();
        for write in &append.writes {
            failed.extend(compare(&self.expected, &write.stream, write.expected, bug));
        }
        for check in &append.checks {
            match check {
                Check::Stream(stream, expected) => {
                    failed.extend(compare(&self.others, stream, *expected, bug));
                }
                Check::NothingAfter(filter, after) => {
                    store_read::verify(&self.boundaries, *after, bug)?;
                    let mut later = self.boundaries.iter().filter(|event| {
                        event.position() > after.position() && filter.matches_event(event)
                    });
                    failed.extend(later.next().map(|found| FailedCheck::Boundary {
                        after: *after,
                        found: found.cursor(),
                    }));
                }
            }
        }
        Ok(failed)
    }
}

fn same_name(one: &StreamId, other: &StreamId, bug: Option<Bug>) -> bool {
    one == other
        || (bug == Some(Bug::IgnoresCase) && one.as_str().eq_ignore_ascii_case(other.as_str()))
}

fn compare(
    versions: &HashMap<StreamId, Version>,
    stream: &StreamId,
    expected: Expected,
    bug: Option<Bug>,
) -> Option<FailedCheck> {
    let actual = versions.get(stream).copied();
    let holds = match (bug, expected) {
        (Some(Bug::AcceptsHigherVersions), Expected::Exact(version)) => actual >= Some(version),
        _ => expected.holds(actual),
    };
    (!holds).then(|| FailedCheck::Stream { stream: stream.clone(), expected, actual })
}

/// The original result if the append is a repetition; an error if its ids belong to
/// other events.
pub(crate) fn duplicate(
    known: &HashMap<EventId, Event>,
    append: &Append,
    bug: Option<Bug>,
) -> Result<Option<Appended>> {
    let Some(first) = append.events().find_map(|event| known.get(&event.id())) else {
        return Ok(None);
    };
    let original = original(known, append, bug);
    match (original, bug) {
        (Some(original), _) => Ok(Some(original)),
        (None, Some(Bug::WritesOnlyTheNewEvents)) => Ok(None),
        (None, Some(Bug::IgnoresAReusedId)) => Ok(Some(Appended {
            writes: Vec::new(),
            first: first.position(),
            cursor: first.cursor(),
            duplicate: true,
        })),
        (None, _) => Err(Error::new(ErrorKind::IdReused, "an id belongs to another event")),
    }
}

fn original(
    known: &HashMap<EventId, Event>,
    append: &Append,
    bug: Option<Bug>,
) -> Option<Appended> {
    let (mut writes, mut all) = (Vec::new(), Vec::new());
    for write in &append.writes {
        let stored: Vec<&Event> =
            write.events.iter().map(|event| known.get(&event.id())).collect::<Option<_>>()?;
        let same = stored.iter().zip(&write.events).all(|(stored, offered)| {
            let traces =
                bug != Some(Bug::ComparesMetadata) || stored.metadata() == offered.metadata();
            *stored.stream() == write.stream && stored.content().has_same_content(offered) && traces
        });
        let follow = stored.windows(2).all(|pair| pair[0].version().next() == pair[1].version());
        if !same || !follow {
            return None;
        }
        let (first, last) = (stored.first()?.version(), stored.last()?.version());
        writes.push(Written { stream: write.stream.clone(), first, last });
        all.extend(stored);
    }
    let first = all.iter().map(|event| event.position()).min()?;
    let cursor: Cursor = all.iter().map(|event| event.cursor()).max()?;
    Some(Appended { writes, first, cursor, duplicate: true })
}

/// Validates JSON again that was validated when the event was created, perhaps
/// by a less strict release.
pub(crate) fn json(append: &Append) -> Result<()> {
    append.events().filter(|event| event.content_type().is_json()).try_for_each(|event| {
        NewEvent::json(event.event_type(), event.payload().clone()).map(|_| ())
    })
}
