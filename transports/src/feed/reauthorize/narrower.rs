use downlink::filter::Pattern;
use downlink::{Filter, FilterItem};

/// Whether every event that matches `new` certainly matches `old`, too. `false` if that
/// cannot be told from the filters.
pub(super) fn is_within(new: &Filter, old: &Filter) -> bool {
    let is_within_query =
        |old: &Vec<FilterItem>| new.queries().iter().any(|new| query_is_within(new, old));
    new.is_nothing() || old.queries().iter().all(is_within_query)
}

fn query_is_within(new: &[FilterItem], old: &[FilterItem]) -> bool {
    new.iter().all(|new| old.iter().any(|old| item_is_within(new, old)))
}

fn item_is_within(new: &FilterItem, old: &FilterItem) -> bool {
    let (new, old) = (new.parts(), old.parts());
    patterns_are_within(new.streams, old.streams)
        && patterns_are_within(new.types, old.types)
        && old.not_types.iter().all(|name| new.not_types.contains(name))
        && old.tags.iter().all(|tag| new.tags.contains(tag))
}

/// No patterns are no restriction.
fn patterns_are_within(new: &[Pattern], old: &[Pattern]) -> bool {
    let is_covered = |new: &Pattern| old.iter().any(|old| pattern_is_within(new, old));
    old.is_empty() || (!new.is_empty() && new.iter().all(is_covered))
}

fn pattern_is_within(new: &Pattern, old: &Pattern) -> bool {
    match (new, old) {
        (_, Pattern::StartsWith(prefix)) => new.text().starts_with(&**prefix),
        (Pattern::Is(new), Pattern::Is(old)) => new == old,
        (Pattern::StartsWith(_), Pattern::Is(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use downlink::{NewEvent, StreamId};
    use proptest::prelude::*;

    use super::*;

    fn item() -> impl Strategy<Value = FilterItem> {
        let name = || prop::sample::select(vec!["a", "ab", "b"]);
        let some = |max| prop::collection::vec(name(), 0..max);
        (some(3), some(2), some(3), some(2), some(2)).prop_map(
            |(streams, prefixes, types, not_types, tags)| {
                let mut item = FilterItem::new();
                for prefix in prefixes {
                    item = item.with_stream_prefix(prefix).unwrap();
                }
                for stream in streams {
                    item = item.with_stream(stream).unwrap();
                }
                for name in types {
                    item = item.with_type(name).unwrap();
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

    fn filter() -> impl Strategy<Value = Filter> {
        let query =
            || prop::collection::vec(item(), 0..3).prop_map(|items| Filter::any_of(items).unwrap());
        (query(), prop::option::of(query())).prop_map(|(one, two)| match two {
            Some(two) => one.and(&two).unwrap(),
            None => one,
        })
    }

    proptest! {
        #[test]
        fn nothing_matches_a_narrower_filter_only(new in filter(), old in filter()) {
            prop_assert!(is_within(&new, &new));
            prop_assert!(is_within(&new, &Filter::everything()));
            prop_assert!(is_within(&Filter::nothing(), &new));
            if !is_within(&new, &old) {
                return Ok(());
            }
            for stream in ["a", "ab", "abc", "b", "c"] {
                for name in ["a", "ab", "abc", "b", "c"] {
                    for tags in [&[][..], &["a"], &["ab", "b"], &["a", "ab", "b"]] {
                        let stream = StreamId::new(stream).unwrap();
                        let mut event = NewEvent::json(name, "{}").unwrap();
                        for tag in tags {
                            event = event.with_tag(*tag).unwrap();
                        }
                        prop_assert!(!new.matches(&stream, &event) || old.matches(&stream, &event));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_plainly_narrower_is_recognized() {
        let of = |stream| FilterItem::new().with_stream(stream).unwrap();
        let prefix: Filter = FilterItem::new().with_stream_prefix("order-").unwrap().into();
        let one: Filter = of("order-1").with_type("A").unwrap().into();
        let two = Filter::any_of([of("order-1"), of("order-2")]).unwrap();
        assert!(is_within(&one, &prefix) && is_within(&one, &two) && is_within(&two, &prefix));
        assert!(!is_within(&prefix, &two) && !is_within(&two, &one));
        assert!(is_within(&prefix.clone().and(&two).unwrap(), &two));
        assert!(!is_within(&two, &two.clone().and(&one).unwrap()));
    }
}
