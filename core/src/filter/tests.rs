use proptest::prelude::*;

use super::*;
use crate::error::{ErrorKind, Result};
use crate::event::NewEvent;
use crate::id::{StreamId, Tag};
use crate::limits;

const NAMES: [&str; 6] = ["a", "A", "ab", "a%", "a_", "b"];

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    (any_name(), any::<bool>()).prop_map(|(name, whole)| {
        if whole { Pattern::Is(name.into()) } else { Pattern::StartsWith(name.into()) }
    })
}

fn any_item() -> impl Strategy<Value = FilterItem> {
    let patterns = || prop::collection::vec(any_pattern(), 0..3);
    let names = || prop::collection::vec(any_name(), 0..2);
    (patterns(), patterns(), names(), names()).prop_map(|(streams, types, not_types, tags)| {
        let item = streams.iter().fold(FilterItem::new(), |item, pattern| match pattern {
            Pattern::Is(name) => item.with_stream(&**name).unwrap(),
            Pattern::StartsWith(prefix) => item.with_stream_prefix(prefix).unwrap(),
        });
        let item = types.iter().fold(item, |item, pattern| match pattern {
            Pattern::Is(name) => item.with_type(&**name).unwrap(),
            Pattern::StartsWith(prefix) => item.with_type_prefix(prefix).unwrap(),
        });
        let item = not_types.into_iter().try_fold(item, FilterItem::without_type).unwrap();
        tags.into_iter().try_fold(item, FilterItem::with_tag).unwrap()
    })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    prop::collection::vec(any_item(), 1..3).prop_map(|items| Filter::any_of(items).unwrap())
}

fn any_event() -> impl Strategy<Value = (StreamId, NewEvent)> {
    let tags = prop::collection::vec(any_name(), 0..3);
    (any_name(), any_name(), tags).prop_map(|(stream, event_type, tags)| {
        let event = NewEvent::json(event_type, "{}").unwrap();
        let event = tags.into_iter().fold(event, |event, tag| event.with_tag(tag).unwrap());
        (stream.try_into().unwrap(), event)
    })
}

proptest! {
    #[test]
    fn intersection_is_exact(a in any_filter(), b in any_filter(), (stream, event) in any_event()) {
        let both = a.clone().and(&b).unwrap();
        prop_assert_eq!(
            both.matches(&stream, &event),
            a.matches(&stream, &event) && b.matches(&stream, &event)
        );
    }

    #[test]
    fn an_item_is_its_four_groups(item in any_item(), (stream, event) in any_event()) {
        let name = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| match pattern {
                Pattern::Is(whole) => &**whole == name,
                Pattern::StartsWith(prefix) => name.as_bytes().starts_with(prefix.as_bytes()),
            })
        };
        let parts = item.parts();
        let expected = name(parts.streams, stream.as_str())
            && name(parts.types, event.event_type().as_str())
            && parts.not_types.iter().all(|not| not != event.event_type())
            && parts.tags.iter().all(|tag| event.tags().iter().any(|has: &Tag| has == tag));
        prop_assert_eq!(Filter::from(item).matches(&stream, &event), expected);
    }
}

fn tags(count: usize) -> Result<FilterItem> {
    (0..count).try_fold(FilterItem::new(), |item, n| item.with_tag(format!("t{n}")))
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("n{n}"))
}

#[test]
fn values_are_limited_at_n_minus_one_n_and_n_plus_one_whatever_they_are() {
    let limit = limits::MAX_FILTER_VALUES;
    let add = |count: usize, add: fn(FilterItem, String) -> Result<FilterItem>| {
        names(count).try_fold(FilterItem::new(), add)
    };
    let ways: [&dyn Fn(usize) -> Result<FilterItem>; 8] = [
        &|n| tags(n),
        &|n| add(n, FilterItem::with_stream),
        &|n| add(n, |item, name| item.with_stream_prefix(&name)),
        &|n| add(n, FilterItem::with_type),
        &|n| add(n, |item, name| item.with_type_prefix(&name)),
        &|n| add(n, FilterItem::without_type),
        &|n| FilterItem::new().with_streams(names(n)),
        &|n| FilterItem::new().with_types(names(n)),
    ];
    for (way, of) in ways.iter().enumerate() {
        assert!(of(limit - 1).is_ok() && of(limit).is_ok(), "way {way}");
        let error = of(limit + 1).unwrap_err();
        assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(limit)), "way {way}");
    }
}

#[test]
fn all_alternatives_share_one_limit() {
    let of = |sizes: &[usize]| Filter::any_of(sizes.iter().map(|n| tags(*n).unwrap()));
    assert!(of(&[32, 32]).is_ok());
    assert_eq!(of(&[32, 33]).unwrap_err().kind(), ErrorKind::TooLarge);
    let without_values = |count| Filter::any_of(vec![FilterItem::new(); count]);
    assert!(without_values(64).is_ok());
    assert_eq!(without_values(65).unwrap_err().kind(), ErrorKind::TooLarge);
    // No more than the limit is taken from an endless iterator.
    let endless = || (0..).inspect(|n| assert!(*n < 100, "{n} values were taken"));
    let items = Filter::any_of(endless().map(|_| FilterItem::new()));
    assert_eq!(items.unwrap_err().kind(), ErrorKind::TooLarge);
    let types = FilterItem::new().with_types(endless().map(|n| format!("n{n}")));
    assert_eq!(types.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn intersections_are_limited_however_they_are_nested() {
    let of = |n: usize| Filter::from(FilterItem::new().with_tag(format!("t{n}")).unwrap());
    let all = |range: std::ops::Range<usize>| {
        range.map(of).try_fold(Filter::everything(), |all, one| all.and(&one))
    };
    assert!(all(0..15).is_ok());
    let full = all(0..16).unwrap();
    assert_eq!(full.queries().len(), limits::MAX_FILTER_QUERIES);
    assert_eq!(all(0..17).unwrap_err().kind(), ErrorKind::TooLarge);
    let nested = all(0..8).unwrap().and(&all(8..16).unwrap()).unwrap();
    assert_eq!(nested, full);
    assert_eq!(all(0..9).unwrap().and(&all(8..17).unwrap()).unwrap_err().limit(), Some(16));
    assert_eq!(full.clone().and(&full).unwrap(), full, "a query that is in both counts once");
}

#[test]
fn an_empty_list_matches_nothing_and_never_everything() {
    let none: [&str; 0] = [];
    let (stream, event) =
        ("a".try_into().unwrap(), NewEvent::json("b", "{}").unwrap().with_tag("ab").unwrap());
    let a_type = FilterItem::new().with_type("b").unwrap();
    for nothing in [
        Filter::nothing(),
        Filter::any_of([]).unwrap(),
        FilterItem::new().with_streams(none).unwrap().into(),
        FilterItem::new().with_types(none).unwrap().into(),
        a_type.clone().with_streams(none).unwrap().into(),
        Filter::any_of([FilterItem::new().with_types(none).unwrap()]).unwrap(),
        Filter::everything().and(&Filter::nothing()).unwrap(),
        Filter::nothing().and(&a_type.clone().into()).unwrap(),
    ] {
        assert!(nothing.is_nothing() && !nothing.is_everything(), "{nothing:?}");
        assert!(!nothing.matches(&stream, &event), "{nothing:?}");
    }
    let either = [a_type.clone(), FilterItem::new().with_streams(none).unwrap()];
    assert_eq!(
        Filter::any_of(either).unwrap(),
        a_type.clone().into(),
        "the other alternative stays"
    );
    let added = FilterItem::new().with_types(none).unwrap().with_type("b").unwrap();
    assert_eq!(added, a_type, "a value added to an empty list is its only value");
    assert!(!added.is_nothing());
}

#[test]
fn an_empty_name_is_an_error() {
    assert!(FilterItem::new().with_stream_prefix("").is_err());
    assert!(FilterItem::new().with_stream("").is_err());
    assert!(Filter::from(FilterItem::new()).is_everything());
}

#[test]
fn literal_types_are_alternatives() {
    let item = FilterItem::new().with_types(["FlightDelayed", "FlightDeparted"]).unwrap();
    assert_eq!(Filter::types(["FlightDelayed", "FlightDeparted"]), item.into());
    assert!(Filter::types([]).is_nothing());
}

#[test]
#[should_panic(expected = "an event type is empty")]
fn literal_types_that_are_not_valid_panic() {
    let _ = Filter::types(["FlightDelayed", ""]);
}
