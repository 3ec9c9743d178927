use crate::filter::{Filter, FilterItem, FilterItemParts, Pattern};
use crate::id::Tag;

/// What an event needs to have in order to match a filter: one of some keys, or
/// nothing in particular. Events that have it may still not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interest<'a> {
    Everything,
    AnyOf(Vec<Key<'a>>),
}

/// One value that an event may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Stream(&'a Pattern),
    Type(&'a Pattern),
    Tag(&'a Tag),
}

/// How many events a key is assumed to select: the smaller, the fewer.
type Breadth = u8;

const EVERYTHING: Breadth = 5;

impl<'a> Interest<'a> {
    /// The keys of the query that is assumed to select the fewest events: an event
    /// has to match all queries, so those of one are enough.
    pub(super) fn of(filter: &'a Filter) -> Self {
        let narrowest = filter.queries().iter().min_by_key(|query| breadth_of_query(query));
        let Some(query) = narrowest else { return Self::Everything };
        if breadth_of_query(query) == EVERYTHING {
            return Self::Everything;
        }
        Self::AnyOf(query.iter().flat_map(|item| narrowest_group(item.parts()).1).collect())
    }
}

/// As broad as the broadest of its items, since each of them is an alternative.
fn breadth_of_query(query: &[FilterItem]) -> Breadth {
    query.iter().map(|item| narrowest_group(item.parts()).0).max().unwrap_or(0)
}

/// The group of an item that is assumed to select the fewest events. An event has to
/// match all groups.
fn narrowest_group(parts: FilterItemParts<'_>) -> (Breadth, Vec<Key<'_>>) {
    let FilterItemParts { streams, types, not_types: _, tags } = parts;
    let patterns = |patterns: &'_ [Pattern], whole: Breadth, prefix: Breadth| {
        let breadth = |pattern: &Pattern| match pattern {
            Pattern::Is(_) => whole,
            Pattern::StartsWith(_) => prefix,
        };
        patterns.iter().map(breadth).max().unwrap_or(EVERYTHING)
    };
    let by_stream = patterns(streams, 0, 2);
    // One tag is enough, since an event has to have all of them.
    let by_tag = if tags.is_empty() { EVERYTHING } else { 1 };
    let by_type = patterns(types, 3, 4);
    match by_stream.min(by_tag).min(by_type) {
        EVERYTHING => (EVERYTHING, Vec::new()),
        breadth if breadth == by_stream => (breadth, streams.iter().map(Key::Stream).collect()),
        breadth if breadth == by_tag => (breadth, tags.first().map(Key::Tag).into_iter().collect()),
        breadth => (breadth, types.iter().map(Key::Type).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(filter: &Filter) -> String {
        match Interest::of(filter) {
            Interest::Everything => "everything".into(),
            Interest::AnyOf(keys) => format!("{keys:?}"),
        }
    }

    #[test]
    fn the_narrowest_group_of_the_narrowest_query_is_taken() {
        let item = || FilterItem::new();
        let typed = item().with_type("A").unwrap().with_type_prefix("B").unwrap();
        assert_eq!(keys(&typed.clone().into()), r#"[Type("A"), Type("B"*)]"#);
        let tagged = typed.clone().with_tag("x").unwrap().with_tag("y").unwrap();
        assert!(keys(&tagged.clone().into()).starts_with("[Tag("));
        let near = tagged.clone().with_stream_prefix("s-").unwrap();
        assert!(keys(&near.into()).starts_with("[Tag("));
        let one = tagged.clone().with_stream("s").unwrap();
        assert_eq!(keys(&one.clone().into()), r#"[Stream("s")]"#);
        // Alternatives are joined, and the narrower of two queries decides.
        let either = Filter::any_of([one, typed.clone()]).unwrap();
        assert_eq!(keys(&either), r#"[Stream("s"), Type("A"), Type("B"*)]"#);
        let both = either.and(&Filter::types(["C"])).unwrap();
        assert_eq!(keys(&both), r#"[Type("C")]"#);
    }

    #[test]
    fn what_only_excludes_is_everything() {
        assert_eq!(keys(&Filter::everything()), "everything");
        let without = FilterItem::new().without_type("A").unwrap();
        assert_eq!(keys(&without.clone().into()), "everything");
        let typed = FilterItem::new().with_type("B").unwrap();
        assert_eq!(keys(&Filter::any_of([typed.clone(), without.clone()]).unwrap()), "everything");
        let both = Filter::from(without).and(&typed.into()).unwrap();
        assert_eq!(keys(&both), r#"[Type("B")]"#);
        assert_eq!(keys(&Filter::nothing()), "[]");
    }
}
