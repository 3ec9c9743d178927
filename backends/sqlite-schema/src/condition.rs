use downlink::filter::{FilterItemParts, Pattern};
use downlink::{Filter, FilterItem, StreamId};

use crate::tags;
use crate::value::Value;

/// How many queries of a filter go into the condition. Each of them alone narrows
/// enough, and SQLite limits the depth of an expression.
const MAX_QUERIES: usize = 8;

/// An SQL condition that holds for every event that matches a filter.
///
/// It narrows a search; [`Filter::matches`] decides. The text has `?` for each
/// parameter, and is the same for filters of the same shape, so that prepared
/// statements can be reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// An expression on a row of `events e`.
    pub text: String,
    /// The parameters, in order.
    pub values: Vec<Value>,
}

impl Condition {
    /// The condition of a filter; `None` if it would not narrow.
    #[must_use]
    pub fn of(filter: &Filter) -> Option<Self> {
        let mut condition = Self { text: String::new(), values: Vec::new() };
        for (index, query) in filter.queries().iter().take(MAX_QUERIES).enumerate() {
            condition.join(index, " AND ");
            condition.group(query, " OR ", Self::item);
        }
        (!condition.text.is_empty()).then_some(condition)
    }

    fn join(&mut self, index: usize, word: &str) {
        if index > 0 {
            self.text.push_str(word);
        }
    }

    fn group<T>(&mut self, values: &[T], word: &str, mut write: impl FnMut(&mut Self, &T)) {
        if values.is_empty() {
            // A query without alternatives matches nothing.
            self.text.push('0');
            return;
        }
        self.text.push('(');
        for (index, value) in values.iter().enumerate() {
            self.join(index, word);
            write(self, value);
        }
        self.text.push(')');
    }

    fn item(&mut self, item: &FilterItem) {
        let FilterItemParts { streams, types, not_types, tags } = item.parts();
        self.text.push_str("(1");
        if !streams.is_empty() {
            self.text.push_str(" AND ");
            self.group(streams, " OR ", Self::stream);
        }
        if !types.is_empty() {
            self.text.push_str(" AND e.type IN (SELECT key FROM downlink_types WHERE ");
            self.group(types, " OR ", Self::name);
            self.text.push(')');
        }
        if !not_types.is_empty() {
            self.text.push_str(" AND e.type NOT IN (SELECT key FROM downlink_types WHERE name IN ");
            self.group(not_types, ", ", |condition, name| {
                condition.value("?", Value::Text(name.as_str().into()));
            });
            self.text.push(')');
        }
        for tag in tags {
            self.value(" AND instr(e.tags, ?)", Value::Blob(tags::needle(tag)));
        }
        self.text.push(')');
    }

    fn stream(&mut self, pattern: &Pattern) {
        match pattern {
            // Looked up once for the whole statement.
            Pattern::Is(name) => {
                self.value(
                    "e.stream = (SELECT key FROM downlink_streams WHERE name = ?)",
                    Value::Text((**name).into()),
                );
            }
            // Looked up for each row: a prefix may have many more streams than there are rows.
            Pattern::StartsWith(_) => {
                self.text
                    .push_str("EXISTS (SELECT 1 FROM downlink_streams WHERE key = e.stream AND ");
                self.name(pattern);
                self.text.push(')');
            }
        }
    }

    fn name(&mut self, pattern: &Pattern) {
        match pattern {
            Pattern::Is(name) => self.value("name = ?", Value::Text((**name).into())),
            Pattern::StartsWith(prefix) => {
                self.value("name >= ?", Value::Text((**prefix).into()));
                if let Some(end) = successor(prefix) {
                    self.value(" AND name < ?", Value::Text(end));
                }
            }
        }
    }

    fn value(&mut self, text: &str, value: Value) {
        self.text.push_str(text);
        self.values.push(value);
    }
}

/// The streams to which all events of a filter belong, without duplicates; `None` if the
/// filter does not name them.
#[must_use]
pub fn named_streams(filter: &Filter) -> Option<Vec<StreamId>> {
    let mut fewest: Option<Vec<StreamId>> = None;
    for query in filter.queries() {
        if let Some(named) = streams_of(query)
            && fewest.as_ref().is_none_or(|fewest| named.len() < fewest.len())
        {
            fewest = Some(named);
        }
    }
    fewest
}

fn streams_of(query: &[FilterItem]) -> Option<Vec<StreamId>> {
    let mut named = Vec::new();
    for item in query {
        let streams = item.parts().streams;
        if streams.is_empty() {
            return None;
        }
        for pattern in streams {
            let Pattern::Is(name) = pattern else { return None };
            named.push(StreamId::new(name).ok()?);
        }
    }
    named.sort_unstable();
    named.dedup();
    Some(named)
}

/// The least text above all texts that begin with `prefix`, in the order of bytes; `None`
/// if there is none.
#[must_use]
pub fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The order of UTF-8 bytes is that of code points; a range of them skips the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(items: impl IntoIterator<Item = FilterItem>) -> Filter {
        Filter::any_of(items).unwrap()
    }

    fn item() -> FilterItem {
        FilterItem::new()
    }

    proptest! {
        #[test]
        fn a_prefix_is_a_range(prefix in "[a-c\u{d7ff}\u{10ffff}é%_]{1,4}", name in "[a-c\u{d7ff}\u{e000}\u{10ffff}éè%_]{0,6}") {
            let in_range = name >= prefix && successor(&prefix).is_none_or(|end| name < end);
            prop_assert_eq!(in_range, name.starts_with(&prefix));
        }
    }

    #[test]
    fn everything_has_no_condition() {
        assert_eq!(Condition::of(&Filter::everything()), None);
        assert_eq!(Condition::of(&Filter::nothing()).unwrap().text, "0");
    }

    #[test]
    fn an_item_is_a_conjunction() {
        let item = item()
            .with_stream("a")
            .and_then(|item| item.with_type("t"))
            .and_then(|item| item.without_type("u"))
            .and_then(|item| item.with_tag("x"))
            .unwrap();
        let condition = Condition::of(&filter([item])).unwrap();
        assert_eq!(condition.text.matches('?').count(), condition.values.len());
        assert_eq!(
            condition.values,
            [
                Value::Text("a".into()),
                Value::Text("t".into()),
                Value::Text("u".into()),
                Value::Blob(b"\x01x".to_vec())
            ]
        );
    }

    #[test]
    fn streams_are_named_only_if_every_alternative_names_them() {
        let of = |name: &str| item().with_stream(name).unwrap();
        let named = |filter: &Filter| {
            named_streams(filter).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(named(&filter([of("b"), of("a"), of("b")])), Some(vec!["a".into(), "b".into()]));
        assert_eq!(named(&filter([of("a"), item().with_type("t").unwrap()])), None);
        assert_eq!(named(&filter([item().with_stream_prefix("a").unwrap()])), None);
        let both = filter([of("a"), of("b")]).and(&filter([of("c")])).unwrap();
        assert_eq!(named(&both), Some(vec!["c".into()]));
        assert_eq!(named(&Filter::everything()), None);
    }
}
