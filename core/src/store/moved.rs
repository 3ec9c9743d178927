use crate::id::Position;

/// Where events of another log are in this one: its positions from `old_from` to
/// `old_to`, both included, are those from `new_from` on, in the same distances.
///
/// Events keep their positions when a log is copied into an empty one. In a log
/// with events of its own they get others, and this says which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moved {
    /// The name of the other log.
    pub source: String,
    /// The first position in the other log.
    pub old_from: Position,
    /// The last position in the other log.
    pub old_to: Position,
    /// Where the first position is in this log.
    pub new_from: Position,
}

impl Moved {
    /// Where this position of the other log is in this one, if it is among these.
    #[must_use]
    pub fn translate(&self, old: Position) -> Option<Position> {
        if old < self.old_from || old > self.old_to {
            return None;
        }
        self.shifted(old)
    }

    /// The last position in this log.
    #[must_use]
    pub fn new_to(&self) -> Option<Position> {
        self.shifted(self.old_to)
    }

    /// Where a position of the other log is in this one, or would be if these went
    /// on up to it; `None` if this log has no such position.
    #[must_use]
    pub fn shifted(&self, old: Position) -> Option<Position> {
        let distance = old.get().checked_sub(self.old_from.get())?;
        self.new_from.get().checked_add(distance).and_then(Position::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_keep_their_distances() {
        let at = |number| Position::new(number).unwrap();
        let moved = Moved { source: "a".into(), old_from: at(5), old_to: at(9), new_from: at(100) };
        let found: Vec<_> = (4..=10).map(|old| moved.translate(at(old))).collect();
        assert_eq!(found[0], None);
        assert_eq!(found[1..=5], [100, 101, 102, 103, 104].map(|new| Some(at(new))));
        assert_eq!((found[6], moved.new_to()), (None, Some(at(104))));
        let far = Moved { new_from: Position::MAX, ..moved };
        assert_eq!((far.translate(at(5)), far.translate(at(6))), (Some(Position::MAX), None));
    }
}
