use super::Step;
use crate::cursor::Cursor;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::id::ProjectionId;

/// What a store keeps of one version of a projection: how far its read model is built.
///
/// For backends: it has the rules of checkpoints, of the live version and of announcements, so
/// that a backend only stores it.
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
    /// The row from the columns of a database.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if a value is invalid.
    pub fn from_columns(
        key: i64,
        version: i64,
        checkpoint: &str,
        is_live: bool,
        announced: &str,
    ) -> Result<Self> {
        let corrupt = |what: &str, error: BoxError| {
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
            is_live,
            announced: cursor(announced)?,
        })
    }

    /// The row of a projection without a step.
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
    /// [`StepOutcome::Applied`](super::StepOutcome::Applied) for a step from this row, and of
    /// [`ProjectionStore::announced`](super::ProjectionStore::announced).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EventId, Position};

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
    fn invalid_values_are_corrupt() {
        for row in [
            ProjectionRow::from_columns(1, -1, &Cursor::START.to_string(), false, ""),
            ProjectionRow::from_columns(1, 1, "", false, &Cursor::START.to_string()),
            ProjectionRow::from_columns(1, 1, &Cursor::START.to_string(), false, "0"),
        ] {
            assert_eq!(row.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
