use super::*;
use crate::error::ErrorKind;

fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| NewEvent::json("FlightDelayed", "{}").unwrap()).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "every test makes the append it asks about")]
fn kind(append: Append) -> Option<ErrorKind> {
    append.validate().err().map(|error| error.kind())
}

#[test]
fn the_number_of_events_is_limited() {
    let of = |count| Append::to("s", Expected::Any, events(count)).unwrap();
    assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND - 1)), None);
    assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND)), None);
    assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND + 1)), Some(ErrorKind::TooLarge));
}

#[test]
fn the_number_of_checks_is_limited() {
    let of = |count: usize| {
        let append = Append::to("s", Expected::Any, events(1)).unwrap();
        let boundary = || Check::NothingAfter(Filter::everything(), Cursor::START);
        (0..count).fold(append, |append, _| append.with_check(boundary()))
    };
    let limit = limits::MAX_CHECKS_PER_APPEND;
    assert_eq!((kind(of(limit - 1)), kind(of(limit))), (None, None));
    let error = of(limit + 1).validate().unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(limit)));
    assert_eq!(error.to_string(), "65 checks in one append: the limit is 64");
}

thread_local! {
    static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts how often names are compared.
#[derive(Clone, Copy)]
struct Counted(usize);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn names_of_an_append_are_compared_by_hash() {
    let names = limits::MAX_EVENTS_PER_APPEND;
    let few = 4 * names;
    let repeated = || first_repeated((0..names).map(Counted));
    let common =
        || first_common(|| (0..names).map(Counted).collect(), &mut (names..2 * names).map(Counted));
    for (what, find) in [("writes", &repeated as &dyn Fn() -> Option<Counted>), ("checks", &common)]
    {
        COMPARED.set(0);
        assert!(find().is_none());
        assert!(COMPARED.get() <= few, "{} comparisons of {names} {what}", COMPARED.get());
    }
}

#[test]
fn a_stream_that_is_written_twice_is_found_among_many() {
    let mut append = Append::default();
    for n in 0..limits::MAX_EVENTS_PER_APPEND - 1 {
        append = append.and(format!("flight-{n}"), Expected::Any, events(1)).unwrap();
    }
    assert_eq!(kind(append.clone()), None);
    let again = append.clone().and("flight-7", Expected::Any, events(1)).unwrap();
    assert!(again.validate().unwrap_err().to_string().contains("'flight-7' occurs in two"));
    let check =
        |n: usize| Check::Stream(format!("flight-{n}").try_into().unwrap(), Expected::Exists);
    let checked = append.with_check(check(1_000_000)).with_check(check(7));
    assert!(checked.validate().unwrap_err().to_string().contains("'flight-7' is written and"));
}

#[test]
fn contradictory_appends_are_invalid() {
    let invalid = Some(ErrorKind::Invalid);
    let one = events(1);
    let twice = [one.clone(), one].concat();
    assert_eq!(kind(Append::default()), invalid);
    assert_eq!(kind(Append::to("s", Expected::Any, []).unwrap()), invalid);
    assert_eq!(kind(Append::to("s", Expected::Any, twice.clone()).unwrap()), invalid);
    let in_two_streams = Append::to("s", Expected::Any, [twice[0].clone()]).unwrap();
    assert_eq!(kind(in_two_streams.and("t", Expected::Any, [twice[1].clone()]).unwrap()), invalid);
    let two_writes = Append::to("s", Expected::Any, events(1)).unwrap();
    assert_eq!(kind(two_writes.and("s", Expected::Any, events(1)).unwrap()), invalid);
    let checked = Append::to("s", Expected::Any, events(1)).unwrap();
    let check = Check::Stream("s".try_into().unwrap(), Expected::NoStream);
    assert_eq!(kind(checked.with_check(check)), invalid);
}
