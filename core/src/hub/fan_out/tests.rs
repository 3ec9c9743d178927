use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::sample::named_event;
use crate::filter::FilterItem;

#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A subscription of a filter that has examined everything up to `examined`.
struct Sleeper {
    registration: Registration,
    wakes: Arc<Wakes>,
    examined: Cursor,
    delivered: Cursor,
}

impl Sleeper {
    fn new(fan_out: &FanOut, filter: Filter) -> Self {
        let registration = fan_out.register(filter);
        let (examined, delivered) = (Cursor::START, Cursor::START);
        Self { registration, wakes: Arc::default(), examined, delivered }
    }

    fn poll(&mut self) -> Poll<Change> {
        self.poll_for(WakeFor::Matching)
    }

    fn poll_for(&mut self, wake_for: WakeFor) -> Poll<Change> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut cx = Context::from_waker(&waker);
        self.registration.poll(&mut cx, wake_for, &mut self.examined, self.delivered)
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

fn log() -> Vec<Event> {
    (1..=6).map(|n| named_event(n, "flight-UA1545", "FlightDelayed", &["airport:EWR"])).collect()
}

fn of_type(event_type: &'static str) -> Filter {
    Filter::types([event_type])
}

/// One push of one event.
fn push(fan_out: &FanOut, event: &Event) {
    fan_out.push(&std::iter::once(event), event.cursor());
}

#[test]
fn only_those_wake_that_an_event_may_concern_and_the_cursor_of_the_others_moves() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut all = Sleeper::new(&fan_out, Filter::everything());
    let mut other = Sleeper::new(&fan_out, of_type("FlightDeparted"));
    assert_eq!((all.poll(), other.poll()), (Poll::Pending, Poll::Pending));
    push(&fan_out, &log[0]);
    push(&fan_out, &log[1]);
    assert_eq!((all.wakes(), other.wakes()), (1, 0), "woken once, although two events came");
    assert_eq!(all.registration.examined(all.examined), Cursor::START);
    assert_eq!(other.registration.examined(other.examined), log[1].cursor());
    assert_eq!((all.poll(), other.poll()), (Poll::Ready(Change::More), Poll::Pending));
    assert_eq!(all.examined, Cursor::START, "both events are still to be examined");
    let departed = named_event(9, "flight-UA1545", "FlightDeparted", &[]);
    push(&fan_out, &departed);
    assert_eq!(other.poll(), Poll::Ready(Change::More));
    assert_eq!(other.examined, log[1].cursor(), "what came before does not concern it");
}

#[test]
fn a_subscription_that_begins_to_wait_misses_no_event_that_was_pushed_before() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut sleeper = Sleeper::new(&fan_out, Filter::everything());
    push(&fan_out, &log[0]);
    assert_eq!(sleeper.poll(), Poll::Ready(Change::More));
    // It has read the ring before the event was pushed to the shard.
    sleeper.examined = log[1].cursor();
    assert_eq!(sleeper.poll(), Poll::Pending);
    push(&fan_out, &log[1]);
    assert_eq!((sleeper.wakes(), sleeper.poll()), (1, Poll::Pending), "woken once too often");
    assert_eq!(sleeper.examined, log[1].cursor(), "and not back to where it was");
    push(&fan_out, &log[2]);
    assert_eq!((sleeper.wakes(), sleeper.poll()), (2, Poll::Ready(Change::More)));
}

#[test]
fn a_tick_yields_a_checkpoint_only_after_everything_was_examined() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let tick = || (0..fan_out.ticks_per_round()).for_each(|_| fan_out.tick());
    let mut sleeper = Sleeper::new(&fan_out, of_type("FlightDeparted"));
    assert_eq!(sleeper.poll(), Poll::Pending);
    tick();
    assert_eq!((sleeper.wakes(), sleeper.poll()), (0, Poll::Pending), "nothing was examined");
    push(&fan_out, &log[0]);
    tick();
    assert_eq!((sleeper.wakes(), sleeper.poll()), (1, Poll::Ready(Change::CheckpointDue)));
    assert_eq!(sleeper.examined, log[0].cursor());
    sleeper.delivered = sleeper.examined;
    assert_eq!(sleeper.poll(), Poll::Pending);
    // The event was pushed when the checkpoint was due already, and comes first.
    push(&fan_out, &log[1]);
    tick();
    let departed = named_event(9, "flight-UA1545", "FlightDeparted", &[]);
    push(&fan_out, &departed);
    assert_eq!(sleeper.poll(), Poll::Ready(Change::More));
    sleeper.examined = departed.cursor();
    sleeper.delivered = departed.cursor();
    assert_eq!(sleeper.poll(), Poll::Pending, "what was delivered needs no checkpoint");
}

#[test]
fn a_tick_reaches_those_that_never_wait_long() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut sleeper = Sleeper::new(&fan_out, Filter::everything());
    push(&fan_out, &log[0]);
    (0..fan_out.ticks_per_round()).for_each(|_| fan_out.tick());
    assert_eq!(sleeper.poll(), Poll::Ready(Change::More));
    sleeper.examined = log[0].cursor();
    assert_eq!(sleeper.poll(), Poll::Ready(Change::CheckpointDue));
}

#[test]
fn any_event_wakes_those_that_wait_for_any() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut sleeper = Sleeper::new(&fan_out, Filter::nothing());
    for (count, event) in log.iter().enumerate() {
        assert_eq!(sleeper.poll_for(WakeFor::Any), Poll::Pending);
        // It still waits for any.
        assert_eq!(sleeper.poll(), Poll::Pending);
        push(&fan_out, event);
        assert_eq!((sleeper.wakes(), sleeper.poll()), (count + 1, Poll::Ready(Change::More)));
        sleeper.examined = event.cursor();
    }
    assert_eq!(sleeper.poll_for(WakeFor::Any), Poll::Pending);
    (0..fan_out.ticks_per_round()).for_each(|_| fan_out.tick());
    assert_eq!(sleeper.poll_for(WakeFor::Any), Poll::Ready(Change::CheckpointDue));
    drop(sleeper);
    // Its place is taken by another, which waits for something else.
    let mut others: Vec<_> =
        (0..fan_out.ticks_per_round()).map(|_| Sleeper::new(&fan_out, Filter::nothing())).collect();
    for other in &mut others {
        other.examined = log[5].cursor();
        assert_eq!(other.poll(), Poll::Pending);
    }
    push(&fan_out, &named_event(9, "s", "A", &[]));
    assert!(others.iter().all(|other| other.wakes() == 0));
}

#[test]
fn what_is_not_known_wakes_all_and_what_ends_ends_all() {
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut sleeper = Sleeper::new(&fan_out, Filter::nothing());
    assert_eq!(sleeper.poll(), Poll::Pending);
    fan_out.skip_to(log[3].cursor());
    assert_eq!((sleeper.wakes(), sleeper.poll()), (1, Poll::Ready(Change::More)));
    assert_eq!(sleeper.examined, Cursor::START);
    sleeper.examined = log[3].cursor();
    assert_eq!(sleeper.poll(), Poll::Pending);
    fan_out.restart(log[0].cursor());
    assert_eq!((sleeper.wakes(), sleeper.poll()), (2, Poll::Ready(Change::Replaced)));
    let mut new = Sleeper::new(&fan_out, Filter::everything());
    new.examined = log[0].cursor();
    assert_eq!(new.poll(), Poll::Pending);
    fan_out.stop();
    assert_eq!((new.wakes(), new.poll()), (1, Poll::Ready(Change::Stopped)));
    assert_eq!(new.registration.look(&mut new.examined), Glance::Stopped);
}

#[test]
fn a_waker_that_panics_costs_no_other_its_wake_up() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker panics (injected by the test)");
        }
    }
    let (fan_out, log) = (FanOut::new(Cursor::START), log());
    let mut sleepers: Vec<_> =
        (0..100).map(|_| Sleeper::new(&fan_out, Filter::everything())).collect();
    for (n, sleeper) in sleepers.iter_mut().enumerate() {
        if n % 10 == 0 {
            let waker = Waker::from(Arc::new(Panics));
            let mut cx = Context::from_waker(&waker);
            let Sleeper { registration, examined, delivered, .. } = sleeper;
            let wake_for = WakeFor::Matching;
            assert!(registration.poll(&mut cx, wake_for, examined, *delivered).is_pending());
        } else {
            assert_eq!(sleeper.poll(), Poll::Pending);
        }
    }
    push(&fan_out, &log[0]);
    let woken = sleepers.iter().filter(|sleeper| sleeper.wakes() == 1).count();
    assert_eq!(woken, 90);
    for sleeper in &mut sleepers {
        assert_eq!(sleeper.poll(), Poll::Ready(Change::More), "it is not waiting any more");
    }
}

fn any_name() -> impl Strategy<Value = String> {
    "[ab]{1,3}"
}

fn any_item() -> impl Strategy<Value = FilterItem> {
    let names = || vec((any_name(), any::<bool>()), 0..3);
    (names(), names(), vec(any_name(), 0..2), vec(any_name(), 0..2)).prop_map(
        |(streams, types, not_types, tags)| {
            let mut item = FilterItem::new();
            for (name, is_prefix) in streams {
                item =
                    if is_prefix { item.with_stream_prefix(&name) } else { item.with_stream(name) }
                        .unwrap();
            }
            for (name, is_prefix) in types {
                item = if is_prefix { item.with_type_prefix(&name) } else { item.with_type(name) }
                    .unwrap();
            }
            for name in not_types {
                item = item.without_type(name).unwrap();
            }
            for tag in tags {
                item = item.with_tag(tag).unwrap();
            }
            item
        },
    )
}

fn any_filter() -> impl Strategy<Value = Filter> {
    vec(vec(any_item(), 0..3), 0..3).prop_map(|queries| {
        queries.into_iter().fold(Filter::everything(), |filter, items| {
            filter.and(&Filter::any_of(items).unwrap()).unwrap()
        })
    })
}

proptest! {
    /// Perhaps too many are woken, but never too few, also when others have left.
    #[test]
    fn whom_an_event_concerns_is_woken(
        filters in vec((any_filter(), any::<bool>()), 1..12),
        events in vec((any_name(), any_name(), vec(any_name(), 0..3)), 1..8),
    ) {
        let fan_out = FanOut::new(Cursor::START);
        let mut sleepers: Vec<_> = filters
            .iter()
            .map(|(filter, stays)| (Sleeper::new(&fan_out, filter.clone()), *stays))
            .collect();
        sleepers.retain(|(_, stays)| *stays);
        let mut tip = Cursor::START;
        for (n, (stream, event_type, tags)) in events.iter().enumerate() {
            let tags: Vec<_> = tags.iter().map(String::as_str).collect();
            let event = named_event(n as u64 + 1, stream, event_type, &tags);
            for (sleeper, _) in &mut sleepers {
                sleeper.examined = tip;
                prop_assert_eq!(sleeper.poll(), Poll::Pending);
            }
            let before: Vec<_> = sleepers.iter().map(|(sleeper, _)| sleeper.wakes()).collect();
            push(&fan_out, &event);
            tip = event.cursor();
            for ((sleeper, _), before) in sleepers.iter_mut().zip(before) {
                let was_woken = sleeper.wakes() > before;
                prop_assert!(was_woken || !sleeper.registration.filter().matches_event(&event));
                prop_assert_eq!(sleeper.poll().is_ready(), was_woken);
            }
        }
    }
}
