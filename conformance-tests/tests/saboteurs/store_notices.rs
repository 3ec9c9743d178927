use downlink::Event;
use downlink::event::Timestamp;

use crate::store_bug::Bug;

/// The events in the notice of a commit that stored these events. `number` commits
/// came before it.
pub(crate) fn notified(events: &[Event], number: usize, bug: Option<Bug>) -> Vec<Event> {
    match bug {
        // This bug has sent the notice already.
        Some(Bug::NotifiesBeforeTheCommit) => Vec::new(),
        Some(Bug::NotifiesEveryOtherCommit) if number.is_multiple_of(2) => Vec::new(),
        Some(Bug::NotifiesWithAnotherTime) => events.iter().map(a_moment_later).collect(),
        _ => events.to_vec(),
    }
}

fn a_moment_later(event: &Event) -> Event {
    let time = Timestamp::from_micros(event.recorded_at().as_micros() + 1);
    let (stream, content) = (event.stream().clone(), event.content().clone());
    Event::new(event.position(), stream, event.version(), time, content)
}
