use std::fmt::Write;

use downlink::filter::{FilterItemParts, Pattern};
use downlink::{EventType, Filter, FilterItem, Tag};

use crate::statement::Value;

/// The SQL condition that an event matches a filter.
///
/// The text has a parameter for each group of names, and is the same for filters of the same shape, so that a
/// prepared statement serves them all.
#[derive(Debug)]
pub(crate) struct Condition<'a> {
    /// An expression on a row of `events`.
    pub(crate) text: String,
    /// The parameters, after those that were there before.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Condition<'a> {
    /// The condition of a filter, whose parameters are numbered after these.
    pub(crate) fn of(filter: &'a Filter, values: Vec<Value<'a>>) -> Self {
        let mut condition = Self { text: String::new(), values };
        condition.join(filter.queries(), " AND ", "true", |condition, query| {
            condition.join(query, " OR ", "false", Self::item);
        });
        condition
    }

    fn join<T>(
        &mut self,
        all: &'a [T],
        word: &str,
        none: &str,
        mut write: impl FnMut(&mut Self, &'a T),
    ) {
        self.text.push('(');
        for (index, one) in all.iter().enumerate() {
            if index > 0 {
                self.text.push_str(word);
            }
            write(self, one);
        }
        if all.is_empty() {
            self.text.push_str(none);
        }
        self.text.push(')');
    }

    fn item(&mut self, item: &'a FilterItem) {
        let FilterItemParts { streams, types, not_types, tags } = item.parts();
        self.text.push_str("true");
        self.names("stream", streams);
        self.names("type", types);
        self.all(" AND type <> ALL (", not_types.iter().map(EventType::as_str).collect(), ")");
        self.all(" AND tags @> ", tags.iter().map(Tag::as_str).collect(), "");
    }

    /// That the column has one of these names.
    fn names(&mut self, column: &str, patterns: &'a [Pattern]) {
        if patterns.is_empty() {
            return;
        }
        let (mut whole, mut prefixes) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern {
                Pattern::Is(name) => whole.push(&**name),
                Pattern::StartsWith(prefix) => prefixes.push(&**prefix),
            }
        }
        self.text.push_str(" AND (false");
        self.all(&format!(" OR {column} = ANY ("), whole, ")");
        self.all(&format!(" OR {column} ^@ ANY ("), prefixes, ")");
        self.text.push(')');
    }

    /// A parameter with these names, unless there are none.
    fn all(&mut self, before: &str, names: Vec<&'a str>, after: &str) {
        if names.is_empty() {
            return;
        }
        self.values.push(Value::Texts(names));
        let number = self.values.len();
        write!(self.text, "{before}${number}::text[]{after}").expect("a string takes every text");
    }
}
