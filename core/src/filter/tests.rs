use proptest::prelude::*;

use super::*;
use crate::{ErrorKind, Tag};

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
        FilterItem {
            streams,
            types,
            not_types: not_types.into_iter().map(|name| name.try_into().unwrap()).collect(),
            tags: tags.into_iter().map(|name| name.try_into().unwrap()).collect(),
        }
    })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    prop::collection::vec(any_item(), 1..3).prop_map(|items| Filter::any(items).unwrap())
}

fn any_event() -> impl Strategy<Value = (StreamId, NewEvent)> {
    let tags = prop::collection::vec(any_name(), 0..3);
    (any_name(), any_name(), tags).prop_map(|(stream, event_type, tags)| {
        let event = NewEvent::with_json(event_type, "{}").unwrap();
        let event = tags.into_iter().fold(event, |event, tag| event.with_tag(tag).unwrap());
        (stream.try_into().unwrap(), event)
    })
}

proptest! {
    #[test]
    fn intersection_is_exact(a in any_filter(), b in any_filter(), (stream, event) in any_event()) {
        let both = a.clone().and(&b);
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
        let expected = name(&item.streams, stream.as_str())
            && name(&item.types, event.event_type().as_str())
            && item.not_types.iter().all(|not| not != event.event_type())
            && item.tags.iter().all(|tag| event.tags().iter().any(|has: &Tag| has == tag));
        prop_assert_eq!(Filter::from(item).matches(&stream, &event), expected);
    }
}

#[test]
fn values_are_limited_at_n_minus_one_n_and_n_plus_one() {
    let of = |n: usize| {
        let item =
            (0..n).fold(FilterItem::new(), |item, i| item.with_tag(format!("t{i}")).unwrap());
        Filter::any([item]).map(|_| ())
    };
    assert!(of(63).is_ok());
    assert!(of(64).is_ok());
    assert_eq!(of(65).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn no_alternative_is_an_error_and_not_everything() {
    assert_eq!(Filter::any([]).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(FilterItem::new().with_stream_prefix("").is_err());
    assert!(FilterItem::new().with_stream("").is_err());
    assert!(Filter::from(FilterItem::new()).is_everything());
}
