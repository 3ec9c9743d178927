use downlink::filter::{FilterItemParts, Pattern};
use downlink::{Error, Filter, FilterItem, limits};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::object::{Object, present};
use super::{Code, Problem, Query};

/// The bytes of all values of a filter together: 8 KiB.
const MAX_BYTES: usize = 8 << 10;

/// The groups of a filter item, in the order of the contract.
const GROUPS: [&str; 6] = ["stream", "stream_prefix", "type", "type_prefix", "not_type", "tag"];

/// All characters but those that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Builds the filter from the parameters of a request.
///
/// # Errors
///
/// [`BadFilter`](Code::BadFilter) for a value that is empty or not a valid name,
/// and for more than 64 values or 8 KiB of values.
pub fn filter_of_query(query: &Query) -> Result<Filter, Problem> {
    let mut builder = Builder::default();
    for group in GROUPS {
        query.all(group).try_for_each(|value| builder.add(group, value))?;
    }
    builder.finish_item();
    builder.finish()
}

/// Parses a filter from a JSON object: its members are the names of the
/// parameters, each with an array of strings, or `any` with an array of such
/// objects.
///
/// # Errors
///
/// [`BadFilter`](Code::BadFilter) as for [`filter_of_query`], for unknown
/// members, for an empty array, and for an `any` that is empty or has other
/// members next to it.
pub fn filter_of_json(json: &str) -> Result<Filter, Problem> {
    let Object(raw) = serde_json::from_str::<Object<Raw>>(json).map_err(|error| {
        Problem::new(Code::BadFilter, format!("the filter is not valid: {error}"))
    })?;
    let mut builder = Builder::default();
    match &raw.any {
        None => builder.add_item(&raw)?,
        Some(_) if !raw.is_empty() => {
            return Err(bad_any("cannot be combined with other members: put them into its items"));
        }
        Some(items) if items.is_empty() => {
            return Err(bad_any("is empty: leave it out or name an alternative"));
        }
        Some(items) if items.iter().any(|Object(item)| item.any.is_some()) => {
            return Err(bad_any("cannot be nested: write one list of items"));
        }
        Some(items) => items.iter().try_for_each(|Object(item)| builder.add_item(item))?,
    }
    builder.finish()
}

fn bad_any(what: &str) -> Problem {
    Problem::new(Code::BadFilter, format!("'any' {what}")).with_parameter("any")
}

/// Formats the filter as a query string, empty for everything; `None` if it has
/// alternatives of items, which a query string cannot express.
#[must_use]
pub fn filter_to_query(filter: &Filter) -> Option<String> {
    let [item] = items(filter)? else { return filter.is_everything().then(String::new) };
    let pairs = values(item).into_iter().flat_map(|(group, values)| {
        values
            .into_iter()
            .map(move |value| format!("{group}={}", utf8_percent_encode(value, ESCAPED)))
    });
    Some(pairs.collect::<Vec<_>>().join("&"))
}

/// Formats the filter as JSON; `None` if it is a conjunction of alternatives or
/// matches nothing, which the wire format cannot express.
#[must_use]
pub fn filter_to_json(filter: &Filter) -> Option<String> {
    let object = |item| {
        let groups = values(item).into_iter().filter(|(_, values)| !values.is_empty());
        Value::Object(groups.map(|(group, values)| (group.to_owned(), values.into())).collect())
    };
    let value = match items(filter)? {
        [] => Value::Object(Map::new()),
        [item] => object(item),
        items => serde_json::json!({ "any": items.iter().map(object).collect::<Vec<_>>() }),
    };
    Some(value.to_string())
}

fn items(filter: &Filter) -> Option<&[FilterItem]> {
    match filter.queries() {
        [] => Some(&[]),
        [items] if !items.is_empty() => Some(items),
        _ => None,
    }
}

fn values(item: &FilterItem) -> [(&'static str, Vec<&str>); 6] {
    let FilterItemParts { streams, types, not_types, tags } = item.parts();
    let [stream, stream_prefix, event_type, type_prefix, not_type, tag] = GROUPS;
    [
        (stream, names(streams)),
        (stream_prefix, prefixes(streams)),
        (event_type, names(types)),
        (type_prefix, prefixes(types)),
        (not_type, not_types.iter().map(AsRef::as_ref).collect()),
        (tag, tags.iter().map(AsRef::as_ref).collect()),
    ]
}

fn names(patterns: &[Pattern]) -> Vec<&str> {
    let name = |pattern: &'_ Pattern| matches!(pattern, Pattern::Is(_));
    patterns.iter().filter(|pattern| name(pattern)).map(Pattern::text).collect()
}

fn prefixes(patterns: &[Pattern]) -> Vec<&str> {
    let prefix = |pattern: &'_ Pattern| matches!(pattern, Pattern::StartsWith(_));
    patterns.iter().filter(|pattern| prefix(pattern)).map(Pattern::text).collect()
}

/// An item, or a whole filter with `any`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "present")]
    any: Option<Vec<Object<Raw>>>,
    #[serde(deserialize_with = "present")]
    stream: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    stream_prefix: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    r#type: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    type_prefix: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    not_type: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    tag: Option<Vec<String>>,
}

impl Raw {
    /// The groups that are present.
    fn groups(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        let Self { any: _, stream, stream_prefix, r#type, type_prefix, not_type, tag } = self;
        let groups = [stream, stream_prefix, r#type, type_prefix, not_type, tag];
        let named = GROUPS.into_iter().zip(groups);
        named.filter_map(|(name, values)| Some((name, values.as_ref()?)))
    }

    fn is_empty(&self) -> bool {
        self.groups().next().is_none()
    }
}

/// Builds a filter and enforces its limits.
#[derive(Default)]
struct Builder {
    items: Vec<FilterItem>,
    item: FilterItem,
    values: usize,
    bytes: usize,
}

impl Builder {
    fn add_item(&mut self, item: &Raw) -> Result<(), Problem> {
        for (group, values) in item.groups() {
            if values.is_empty() {
                return Err(no_value(group, "is an empty list"));
            }
            values.iter().try_for_each(|value| self.add(group, value))?;
        }
        self.finish_item();
        Ok(())
    }

    fn add(&mut self, group: &'static str, value: &str) -> Result<(), Problem> {
        (self.values, self.bytes) = (self.values + 1, self.bytes + value.len());
        if self.values > limits::MAX_FILTER_VALUES {
            return Err(too_many(limits::MAX_FILTER_VALUES, "values").with_parameter(group));
        }
        if self.bytes > MAX_BYTES {
            return Err(too_many(MAX_BYTES, "bytes of values").with_parameter(group));
        }
        if value.is_empty() {
            return Err(no_value(group, "is empty"));
        }
        self.item = with(std::mem::take(&mut self.item), group, value).map_err(|error| {
            let detail = format!("'{group}' cannot be used: {error}");
            Problem::new(Code::BadFilter, detail).with_parameter(group)
        })?;
        Ok(())
    }

    fn finish_item(&mut self) {
        self.items.push(std::mem::take(&mut self.item));
    }

    fn finish(self) -> Result<Filter, Problem> {
        Filter::any_of(self.items).map_err(|_| too_many(limits::MAX_FILTER_VALUES, "alternatives"))
    }
}

fn with(item: FilterItem, group: &str, value: &str) -> Result<FilterItem, Error> {
    match group {
        "stream" => item.with_stream(value),
        "stream_prefix" => item.with_stream_prefix(value),
        "type" => item.with_type(value),
        "type_prefix" => item.with_type_prefix(value),
        "not_type" => item.without_type(value),
        _ => item.with_tag(value),
    }
}

/// An empty list must not mean everything.
fn no_value(group: &'static str, what: &str) -> Problem {
    let detail = format!("'{group}' {what}: leave it out or name {}", example(group));
    Problem::new(Code::BadFilter, detail).with_parameter(group)
}

fn example(group: &str) -> &'static str {
    match group {
        "stream" => "a stream",
        "type" | "not_type" => "a type",
        "tag" => "a tag",
        _ => "a prefix",
    }
}

fn too_many(limit: usize, what: &str) -> Problem {
    Problem::new(Code::BadFilter, format!("the filter has too many {what}: the limit is {limit}"))
        .with_limit(limit)
}

#[cfg(test)]
mod tests;
