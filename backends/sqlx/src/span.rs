use downlink::Position;
use downlink::store::Mark;
use downlink_sqlite_schema::number::position_to_sql;

/// Positions in the order in which they are read, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) forward: bool,
}

impl Span {
    /// The positions of a log that ends at `head`, after a mark in reading order.
    pub(crate) fn of(head: Position, forward: bool, after: Option<Mark>) -> Self {
        let head = position_to_sql(head);
        let mark = after.map(|after| position_to_sql(after.position()));
        if forward {
            Self { from: mark.map_or(1, |after| after + 1), to: head, forward }
        } else {
            Self { from: mark.map_or(head, |before| before - 1), to: 1, forward }
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        if self.forward { self.from > self.to } else { self.from < self.to }
    }

    /// How many positions it has, with or without events.
    pub(crate) fn len(self) -> u64 {
        if self.is_empty() { 0 } else { self.from.abs_diff(self.to) + 1 }
    }

    /// Its first positions, at most `count`, which is not zero.
    pub(crate) fn first(self, count: usize) -> Self {
        let step = i64::try_from(count - 1).unwrap_or(i64::MAX);
        if self.len() <= step.unsigned_abs() + 1 {
            return self;
        }
        let to = if self.forward { self.from + step } else { self.from - step };
        Self { to, ..self }
    }

    /// The part after a position.
    pub(crate) fn after(self, position: i64) -> Self {
        let from = if self.forward { position + 1 } else { position - 1 };
        Self { from, ..self }
    }

    /// Whether a position is part of it.
    pub(crate) fn contains(self, position: i64) -> bool {
        let (low, high) = if self.forward { (self.from, self.to) } else { (self.to, self.from) };
        (low..=high).contains(&position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_in_its_order() {
        let head = Position::new(9).unwrap();
        let mark = |at| Some(Mark::Position(Position::new(at).unwrap()));
        let forward = Span::of(head, true, mark(3));
        assert_eq!((forward.from, forward.to, forward.len()), (4, 9, 6));
        assert_eq!(forward.first(2), Span { from: 4, to: 5, forward: true });
        assert_eq!(forward.after(5), Span { from: 6, to: 9, forward: true });
        let backward = Span::of(head, false, mark(3));
        assert_eq!((backward.from, backward.to, backward.len()), (2, 1, 2));
        assert_eq!(backward.first(1), Span { from: 2, to: 2, forward: false });
        assert!(backward.contains(1) && !backward.contains(3));
        assert!(Span::of(head, true, mark(9)).is_empty());
        assert!(Span::of(head, false, mark(1)).is_empty());
        assert!(Span::of(Position::ZERO, true, None).is_empty());
        assert!(Span::of(Position::ZERO, false, None).is_empty());
        assert_eq!(Span::of(Position::ZERO, false, None).len(), 0);
        assert_eq!(Span::of(head, false, None).first(100).len(), 9);
    }
}
