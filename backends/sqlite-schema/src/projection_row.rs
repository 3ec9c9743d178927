use downlink::event::Timestamp;
use downlink::id::ProjectionId;
use downlink::projection::{DeadLetter, Step};
use downlink::{Cursor, Error, ErrorKind, Result};

use crate::event_row::{cursor_from_sql, id_from_sql};
use crate::number::from_sql;

/// A row of `projections`: how far a read model is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectionRow {
    /// The key to which dead letters refer.
    pub key: i64,
    /// The version of the projection.
    pub version: u32,
    /// The cursor up to which it is built.
    pub checkpoint: Cursor,
    /// Whether queries read this version.
    pub is_live: bool,
    /// The cursor up to which events are announced, if it is the live version.
    pub announced: Cursor,
}

impl ProjectionRow {
    /// The row from the columns of [`PROJECTION`](crate::sql::PROJECTION).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if a value is invalid.
    pub fn from_sql(
        key: i64,
        version: i64,
        checkpoint: &str,
        live: i64,
        announced: &str,
    ) -> Result<Self> {
        let corrupt = |what: &str, error: downlink::BoxError| {
            let message =
                format!("the checkpoint of projection {key} has {what}: reset the projection");
            Error::with_source(ErrorKind::Corrupt, message, error)
        };
        let cursor = |text: &str| {
            text.parse().map_err(|error: Error| corrupt("an invalid cursor", error.into()))
        };
        Ok(Self {
            key,
            version: u32::try_from(version)
                .map_err(|error| corrupt("an invalid version", error.into()))?,
            checkpoint: cursor(checkpoint)?,
            is_live: live != 0,
            announced: cursor(announced)?,
        })
    }

    /// The row that [`ADD_PROJECTION`](crate::sql::ADD_PROJECTION) adds.
    #[must_use]
    pub fn added(key: i64, id: &ProjectionId) -> Self {
        let (checkpoint, announced) = (Cursor::START, Cursor::START);
        Self { key, version: id.version(), checkpoint, is_live: false, announced }
    }

    /// The row after a step.
    #[must_use]
    pub fn after(self, step: &Step) -> Self {
        let announced =
            if self.is_live { step.announced_after(self.announced) } else { self.announced };
        Self { checkpoint: step.to, announced, ..self }
    }

    /// The cursor up to which events are announced, if this version is live: the value in
    /// [`StepOutcome::Applied`](downlink::projection::StepOutcome::Applied) for a step from this row, and of
    /// [`ProjectionStore::announced`](downlink::projection::ProjectionStore::announced).
    #[must_use]
    pub fn unannounced_after(&self) -> Option<Cursor> {
        self.is_live.then_some(self.announced)
    }

    /// The row after an announcement; `None` if it must not be made.
    #[must_use]
    pub fn announce(self, from: Cursor, to: Cursor) -> Option<Self> {
        (self.unannounced_after() == Some(from)).then_some(Self { announced: to, ..self })
    }

    /// The row after a reset.
    #[must_use]
    pub fn reset(self) -> Self {
        Self { checkpoint: Cursor::START, ..self }
    }

    /// The rows after this version has replaced the live one, the former live version first;
    /// `None` if it must not.
    #[must_use]
    pub fn take_over(self, live: Option<Self>) -> Option<(Option<Self>, Self)> {
        if live.is_some_and(|live| live.version >= self.version) {
            return None;
        }
        let announced = live.map_or(self.checkpoint, |live| live.announced);
        let former = live.map(|live| Self { is_live: false, ..live });
        Some((former, Self { is_live: true, announced, ..self }))
    }
}

/// The prefix of the names of all tables of the log, which no other table may have.
pub const TABLE_PREFIX: &str = "downlink_";

/// Whether a table of this name belongs to the log, so that no projection may write to it.
#[must_use]
pub fn is_log_table(name: &str) -> bool {
    name.get(..TABLE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(TABLE_PREFIX))
}

/// A dead letter from the columns of [`DEAD_LETTERS`](crate::sql::DEAD_LETTERS).
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if a value is invalid.
pub fn dead_letter_from_sql(
    position: i64,
    id: &[u8],
    error: String,
    skipped_at: i64,
) -> Result<DeadLetter> {
    Ok(DeadLetter {
        cursor: cursor_from_sql(position, id)?,
        id: id_from_sql(id)?,
        error,
        skipped_at: Timestamp::from_micros(from_sql(skipped_at)?),
    })
}

#[cfg(test)]
mod tests {
    use downlink::{EventId, Position};

    use super::*;

    fn cursor(position: u64) -> Cursor {
        Cursor::of(Position::new(position).unwrap(), EventId::from_bytes([7; 16]))
    }

    fn row(version: u32, checkpoint: u64) -> ProjectionRow {
        let board = ProjectionId::new("board", version).unwrap();
        ProjectionRow { checkpoint: cursor(checkpoint), ..ProjectionRow::added(1, &board) }
    }

    #[test]
    fn only_a_live_version_announces_and_only_once() {
        let step = |from, to| Step::new(cursor(from), cursor(to), Vec::new());
        let quiet = row(1, 3).after(&step(3, 5));
        assert_eq!((quiet.announced, quiet.unannounced_after()), (Cursor::START, None));
        let (former, live) = quiet.take_over(None).unwrap();
        assert_eq!((former, live.unannounced_after()), (None, Some(cursor(5))));
        let again = live.after(&step(5, 9)).reset().after(&step(1, 4));
        assert_eq!(again.unannounced_after(), Some(cursor(9)));
        assert_eq!(quiet.announce(Cursor::START, cursor(3)), None);
        assert_eq!(live.announce(cursor(4), cursor(7)), None);
        assert_eq!(live.announce(cursor(5), cursor(7)).unwrap().announced, cursor(7));
    }

    #[test]
    fn only_a_higher_version_takes_over_and_keeps_what_was_announced() {
        let (_, one) = row(1, 20).take_over(None).unwrap();
        for checkpoint in [10, 30] {
            let (former, two) = row(2, checkpoint).take_over(Some(one)).unwrap();
            assert!(!former.unwrap().is_live && two.is_live);
            assert_eq!(two.announced, cursor(20));
            assert_eq!(row(1, 30).take_over(Some(two)), None);
            assert_eq!(row(2, 30).take_over(Some(two)), None);
        }
    }

    #[test]
    fn every_table_of_the_log_has_the_prefix() {
        let made = crate::ddl::CREATE.split("CREATE TABLE ").skip(1);
        let names: Vec<_> = made.filter_map(|table| table.split_whitespace().next()).collect();
        assert_eq!(names.len(), 11);
        assert!(names.iter().all(|name| is_log_table(name)), "{names:?}");
        assert!(is_log_table("Downlink_Events") && !is_log_table("board"));
        assert!(!is_log_table("downlink") && !is_log_table("events") && !is_log_table("é"));
    }

    #[test]
    fn invalid_values_are_corrupt() {
        for row in [
            ProjectionRow::from_sql(1, -1, &Cursor::START.to_string(), 0, ""),
            ProjectionRow::from_sql(1, 1, "", 0, &Cursor::START.to_string()),
            ProjectionRow::from_sql(1, 1, &Cursor::START.to_string(), 0, "0"),
        ] {
            assert_eq!(row.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
