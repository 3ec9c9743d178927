use crate::event::Event;

/// How many events a subscription takes at a time. What it holds while its
/// reader stands still is bounded by this and not by what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) events: usize,
    /// Counted as [`cost`] does.
    pub(super) bytes: usize,
}

/// The first of these events, within the bounds; always one if there is one.
pub(super) fn take_within<'a>(
    events: impl Iterator<Item = &'a Event>,
    bounds: Bounds,
) -> Vec<Event> {
    let mut bytes = 0;
    let fits = |(place, event): &(usize, &Event)| {
        bytes += cost(event);
        *place == 0 || (*place < bounds.events && bytes <= bounds.bytes)
    };
    events.enumerate().take_while(fits).map(|(_, event)| event.clone()).collect()
}

/// The memory that an event is counted with: its bytes as stored, the same
/// again once it is rendered, and what surrounds them.
pub(super) fn cost(event: &Event) -> usize {
    2 * event.size() + 512
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample::event;

    #[test]
    fn a_run_is_bounded_in_count_and_bytes_and_has_one_event_at_least() {
        let log: Vec<_> = (1..=9).map(event).collect();
        let count = |events, bytes| take_within(log.iter(), Bounds { events, bytes }).len();
        let each = cost(&log[0]);
        assert_eq!((count(4, usize::MAX), count(99, usize::MAX)), (4, 9));
        assert_eq!((count(99, 3 * each), count(99, 3 * each + each / 2)), (3, 3));
        assert_eq!((count(0, 0), count(4, 1)), (1, 1));
        assert_eq!(take_within(std::iter::empty(), Bounds { events: 4, bytes: 4 }), []);
    }
}
