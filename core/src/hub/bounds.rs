use crate::event::Event;
use crate::limits;

/// The most events and bytes that a subscription takes at a time, and therefore
/// holds while its reader is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) events: usize,
    /// Counted as [`cost`] does.
    pub(super) bytes: usize,
}

/// The [`cost`] of the largest event.
pub(super) const MAX_COST: usize = OVERHEAD
    + 2 * (limits::MAX_PAYLOAD_BYTES
        + limits::MAX_METADATA_BYTES
        + (limits::MAX_TAGS + 3) * limits::MAX_NAME_BYTES);

/// The memory that an event is assumed to take in addition to its bytes.
const OVERHEAD: usize = 512;

/// The first of these events, within the bounds, but at least one if there is
/// one.
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

/// The memory that an event is assumed to take: its bytes as stored, as many
/// again for its rendered form, and the overhead of both.
pub(super) fn cost(event: &Event) -> usize {
    cost_of(1, event.size())
}

/// The same for so many events that have so many bytes in all.
pub(super) fn cost_of(events: usize, bytes: usize) -> usize {
    bytes.saturating_mul(2).saturating_add(events.saturating_mul(OVERHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample::event;

    #[test]
    fn events_are_taken_up_to_the_bounds_but_at_least_one() {
        let log: Vec<_> = (1..=9).map(event).collect();
        let count = |events, bytes| take_within(log.iter(), Bounds { events, bytes }).len();
        let each = cost(&log[0]);
        assert_eq!((count(4, usize::MAX), count(99, usize::MAX)), (4, 9));
        assert_eq!((count(99, 3 * each), count(99, 3 * each + each / 2)), (3, 3));
        assert_eq!((count(0, 0), count(4, 1)), (1, 1));
        assert_eq!(take_within(std::iter::empty(), Bounds { events: 4, bytes: 4 }), []);
    }
}
