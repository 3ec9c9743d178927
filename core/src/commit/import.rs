//! Decides whether the events of another log fit this one.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::{Facts, LogHead, Needs, Plan, StreamHead};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, FailedCheck, Result};
use crate::event::Event;
use crate::expected::Expected;
use crate::id::{EventId, StreamId};
use crate::store::Import;

impl Import {
    /// What has to be known of the log, inside the transaction that will insert.
    #[must_use]
    pub fn needs(&self) -> Needs<'_> {
        let mut seen = HashSet::new();
        let streams = self.events().iter().map(Event::stream);
        let streams = streams.filter(|stream| seen.insert(*stream)).collect();
        let ids = self.events().iter().map(Event::id).collect();
        Needs { streams, ids, boundaries: Vec::new() }
    }

    /// Decides whether the events fit the log, which ends at `head`. The plan has no
    /// outcomes.
    ///
    /// # Errors
    ///
    /// As [`ImportStore::import`](crate::store::ImportStore::import).
    pub fn plan(self, facts: &Facts, head: LogHead) -> Result<Plan> {
        self.validate()?;
        self.check_end(head.cursor)?;
        self.check_ids(facts)?;
        let streams = self.stream_heads(facts)?;
        let rows = self.into_events();
        let head =
            rows.last().map_or(head, |last| LogHead::after(last.cursor(), last.recorded_at()));
        Ok(Plan { outcomes: Vec::new(), rows, streams, head })
    }

    fn check_end(&self, head: Cursor) -> Result<()> {
        let after = self.after();
        if head == after {
            return Ok(());
        }
        Err(match after.position().cmp(&head.position()) {
            Ordering::Greater => Error::cursor_ahead(after.position(), head),
            Ordering::Equal => Error::history_changed(after),
            Ordering::Less => Error::conflict(vec![FailedCheck::Boundary { after, found: head }]),
        })
    }

    fn check_ids(&self, facts: &Facts) -> Result<()> {
        let mut seen = HashSet::new();
        let is_known = |id: &EventId| !seen.insert(*id) || facts.events.contains_key(id);
        match self.events().iter().map(Event::id).find(is_known) {
            None => Ok(()),
            Some(id) => {
                let message = format!(
                    "the log has an event with the id {id} already: an event is imported once"
                );
                Err(Error::new(ErrorKind::IdReused, message))
            }
        }
    }

    /// The new ends of the streams, if each event continues its stream.
    fn stream_heads(&self, facts: &Facts) -> Result<Vec<StreamHead>> {
        let mut heads: HashMap<&StreamId, StreamHead> = HashMap::new();
        for event in self.events() {
            let (stream, version) = (event.stream(), event.version());
            let actual = match heads.get(stream) {
                Some(head) => Some(head.version),
                None => facts.streams.get(stream).copied(),
            };
            if version.previous() != actual {
                let expected = Expected::at(version.previous());
                let stream = stream.clone();
                return Err(Error::conflict(vec![FailedCheck::Stream {
                    stream,
                    expected,
                    actual,
                }]));
            }
            let head = StreamHead { stream: stream.clone(), version, position: event.position() };
            heads.insert(stream, head);
        }
        Ok(heads.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::event::sample::named_event;
    use crate::id::{Position, Version};

    fn import(positions: &[u64]) -> Import {
        let events = positions.iter().map(|at| named_event(*at, &format!("s{at}"), "A", &[]));
        Import::new(Cursor::START, events.collect())
    }

    fn refused(import: Import, facts: &Facts, head: LogHead) -> ErrorKind {
        import.plan(facts, head).unwrap_err().kind()
    }

    #[test]
    fn positions_may_have_gaps_and_have_to_increase() {
        let plan = import(&[3, 4, 9]).plan(&Facts::default(), LogHead::EMPTY).unwrap();
        assert_eq!((plan.rows.len(), plan.streams.len(), plan.head.next.get()), (3, 3, 10));
        for wrong in [&[][..], &[2, 2], &[2, 1], &[0, 1], &[1, Position::MAX.get()]] {
            let kind = refused(import(wrong), &Facts::default(), LogHead::EMPTY);
            assert_eq!(kind, ErrorKind::Invalid, "{wrong:?}");
        }
    }

    #[test]
    fn the_log_has_to_end_at_the_cursor() {
        let [one, two] = [1, 2].map(|at| named_event(at, "other", "A", &[]));
        let at = |cursor| LogHead::after(cursor, Timestamp::EPOCH);
        let of = |after| Import::new(after, import(&[3]).into_events());
        let facts = Facts::default();
        assert!(of(two.cursor()).plan(&facts, at(two.cursor())).is_ok());
        assert_eq!(refused(of(one.cursor()), &facts, at(two.cursor())), ErrorKind::Conflict);
        assert_eq!(refused(of(two.cursor()), &facts, at(one.cursor())), ErrorKind::CursorAhead);
        let other = named_event(2, "other", "A", &[]);
        assert_eq!(
            refused(of(two.cursor()), &facts, at(other.cursor())),
            ErrorKind::HistoryChanged
        );
    }

    #[test]
    fn a_version_has_to_be_the_next_one() {
        let event = named_event(1, "s", "A", &[]);
        let stream = event.stream().clone();
        let events = vec![event, named_event(2, "s", "A", &[])];
        let twice_the_first = Import::new(Cursor::START, events.clone());
        assert_eq!(
            refused(twice_the_first, &Facts::default(), LogHead::EMPTY),
            ErrorKind::Conflict
        );
        let one = Import::new(Cursor::START, events[..1].to_vec());
        let mut facts = Facts::default();
        facts.streams.insert(stream, Version::FIRST);
        assert_eq!(refused(one, &facts, LogHead::EMPTY), ErrorKind::Conflict);
    }

    #[test]
    fn an_id_has_to_be_new() {
        let (a, b) = (named_event(1, "a", "A", &[]), named_event(2, "b", "A", &[]));
        let same_id = Event::new(
            b.position(),
            b.stream().clone(),
            b.version(),
            b.recorded_at(),
            a.content().clone(),
        );
        let twice = Import::new(Cursor::START, vec![a.clone(), same_id]);
        assert_eq!(refused(twice, &Facts::default(), LogHead::EMPTY), ErrorKind::IdReused);
        let mut facts = Facts::default();
        facts.events.insert(a.id(), a.clone());
        let known = Import::new(Cursor::START, vec![a]);
        assert_eq!(refused(known, &facts, LogHead::EMPTY), ErrorKind::IdReused);
    }
}
