use std::collections::{BTreeSet, HashMap, VecDeque};

use downlink::filter::{FilterItemParts, Pattern};
use downlink::{Filter, FilterItem, Result};

use crate::condition::successor;
use crate::postings::{SEGMENT, TAG, TYPE, unpack};

/// How many segments one statement covers, at first and at most.
const WINDOWS: (i64, i64) = (16, 4_096);

/// How many sizes of postings one statement returns at most.
const MAX_SIZES: i64 = 65_536;

/// How many bytes of postings are loaded at once, unless one segment has more.
const LOADED_BYTES: i64 = 64 << 10;

/// A tag that is more frequent than the rarest one by this factor is not loaded:
/// looking at the events costs less.
const WORTH_JOINING: i64 = 16;

/// A range shorter than this is scanned.
const MIN_RANGE: i64 = 16;

/// A range with one candidate in this many events is scanned: a scan reads events in
/// sequence.
const DENSE: i64 = 8;

/// A type or tag that has postings: its kind and key.
type Name = (i64, i64);

/// A search in the postings for the events of a range that may match a filter.
///
/// It works without a driver: it returns the parameters of statements and takes their
/// rows. It finds a superset of the events that match, in the order of the search;
/// [`Filter::matches`] decides about each.
#[derive(Debug)]
pub struct Search {
    tags: Vec<String>,
    /// Ranges of names: from the first to before the second, if there is one.
    types: Vec<(String, Option<String>)>,
    terms: Vec<Terms>,
    items: Vec<Item>,
    low: i64,
    high: i64,
    forward: bool,
    /// The next segment to look up, and how many.
    next: i64,
    window: i64,
    plans: VecDeque<Plan>,
    loading: Vec<Plan>,
}

/// The names in one alternative of the filter: indexes into `tags` and `types`.
#[derive(Debug)]
struct Terms {
    tags: Vec<usize>,
    types: Vec<usize>,
}

/// One alternative of the filter, by the keys of its names.
#[derive(Debug)]
enum Item {
    /// Events with all of these tags.
    All(Vec<Name>),
    /// Events with one of these types.
    Any(Vec<Name>),
}

/// What to load of one segment.
#[derive(Debug)]
struct Plan {
    segment: i64,
    /// For each alternative: whether an event needs all of the names or one, and the
    /// names.
    items: Vec<(bool, Vec<Name>)>,
    /// The bytes of the postings that bound the candidates.
    bytes: i64,
    /// The bytes of all postings that are loaded.
    loaded: i64,
}

impl Search {
    /// A search from position `low` to `high`, both included and indexed; `None` if the
    /// postings do not narrow this filter, or if the range is short.
    #[must_use]
    pub fn of(filter: &Filter, (low, high): (i64, i64), forward: bool) -> Option<Self> {
        if high - low < MIN_RANGE {
            return None;
        }
        let narrows = |query: &&Vec<FilterItem>| {
            let has_names =
                |parts: FilterItemParts<'_>| !parts.tags.is_empty() || !parts.types.is_empty();
            query.iter().all(|item| has_names(item.parts()))
        };
        let by_tag =
            |query: &&&Vec<FilterItem>| query.iter().all(|item| !item.parts().tags.is_empty());
        let queries: Vec<_> = filter.queries().iter().filter(narrows).collect();
        let query = queries.iter().find(by_tag).or(queries.first())?;
        let mut search = Self {
            tags: Vec::new(),
            types: Vec::new(),
            terms: Vec::new(),
            items: Vec::new(),
            low,
            high,
            forward,
            next: if forward { low / SEGMENT } else { high / SEGMENT },
            window: WINDOWS.0,
            plans: VecDeque::new(),
            loading: Vec::new(),
        };
        for item in *query {
            let terms = search.terms_of(item);
            search.terms.push(terms);
        }
        Some(search)
    }

    fn terms_of(&mut self, item: &FilterItem) -> Terms {
        let item = item.parts();
        let first = self.tags.len();
        self.tags.extend(item.tags.iter().map(|tag| tag.as_str().to_owned()));
        let tags: Vec<usize> = (first..self.tags.len()).collect();
        let first = self.types.len();
        if tags.is_empty() {
            self.types.extend(item.types.iter().map(range_of));
        }
        Terms { tags, types: (first..self.types.len()).collect() }
    }

    /// The parameters of [`TERMS`](crate::sql::TERMS).
    #[must_use]
    pub fn terms(&self) -> [String; 2] {
        let types = self.types.iter().map(|(from, to)| serde_json::json!([from, to]));
        [
            types.collect::<serde_json::Value>().to_string(),
            self.tags.iter().cloned().collect::<serde_json::Value>().to_string(),
        ]
    }

    /// Takes the rows of [`TERMS`](crate::sql::TERMS): kind, index in the list, key. A
    /// name without a row is in no indexed event.
    pub fn take_terms(&mut self, rows: impl IntoIterator<Item = (i64, i64, i64)>) {
        let mut keys: HashMap<(i64, usize), Vec<Name>> = HashMap::new();
        for (kind, index, key) in rows {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            keys.entry((kind, index)).or_default().push((kind, key));
        }
        let keys = |kind, indexes: &[usize]| -> Vec<Vec<Name>> {
            let of = |index: &usize| keys.get(&(kind, *index)).cloned().unwrap_or_default();
            indexes.iter().map(of).collect()
        };
        self.items = self
            .terms
            .iter()
            .filter_map(|terms| {
                if terms.tags.is_empty() {
                    let names: BTreeSet<Name> =
                        keys(TYPE, &terms.types).into_iter().flatten().collect();
                    (!names.is_empty()).then(|| Item::Any(names.into_iter().collect()))
                } else {
                    let names = keys(TAG, &terms.tags);
                    let are_known = names.iter().all(|names| !names.is_empty());
                    are_known.then(|| Item::All(names.into_iter().flatten().collect()))
                }
            })
            .collect();
    }

    /// The parameters of [`POSTINGS_SIZES`](crate::sql::POSTINGS_SIZES) for the
    /// next segments: names, and the first and last segment; `None` at the end.
    pub fn next_window(&mut self) -> Option<(String, i64, i64)> {
        let (first, last) = (self.low / SEGMENT, self.high / SEGMENT);
        if self.items.is_empty() || self.next < first || self.next > last {
            return None;
        }
        let names = self.items.iter().flat_map(Item::names).copied().collect::<BTreeSet<Name>>();
        let window = self.window.min(MAX_SIZES / i64::try_from(names.len()).unwrap_or(MAX_SIZES));
        let (from, to) = if self.forward {
            (self.next, last.min(self.next + window.max(1) - 1))
        } else {
            (first.max(self.next - window.max(1) + 1), self.next)
        };
        self.next = if self.forward { to + 1 } else { from - 1 };
        self.window = WINDOWS.1.min(self.window * 4);
        Some((list(names.into_iter().map(|(kind, key)| [kind, key])), from, to))
    }

    /// Takes the rows of [`POSTINGS_SIZES`](crate::sql::POSTINGS_SIZES): segment,
    /// kind, key and bytes.
    pub fn take_sizes(&mut self, rows: impl IntoIterator<Item = (i64, i64, i64, i64)>) {
        let mut segments: HashMap<i64, HashMap<Name, i64>> = HashMap::new();
        for (segment, kind, key, bytes) in rows {
            segments.entry(segment).or_default().insert((kind, key), bytes);
        }
        let mut plans: Vec<Plan> = segments
            .into_iter()
            .map(|(segment, sizes)| Plan::of(segment, &self.items, &sizes))
            .filter(|plan| plan.bytes > 0)
            .collect();
        plans.sort_unstable_by_key(|plan| if self.forward { plan.segment } else { -plan.segment });
        self.plans.extend(plans);
    }

    /// Whether the next segment has so many candidates that a scan costs less.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        let Some(plan) = self.plans.front() else { return false };
        let first = plan.segment * SEGMENT;
        let covered = self.high.min(first + SEGMENT - 1) - self.low.max(first) + 1;
        covered >= SEGMENT / 16 && plan.bytes / 2 * DENSE > SEGMENT.min(covered)
    }

    /// The parameter of [`POSTINGS`](crate::sql::POSTINGS) for the next segments; `None`
    /// at the end of the window.
    pub fn next_load(&mut self) -> Option<String> {
        let mut bytes = 0;
        self.loading.clear();
        while bytes < LOADED_BYTES
            && let Some(plan) = self.plans.pop_front()
        {
            bytes += plan.loaded;
            self.loading.push(plan);
        }
        let rows = self.loading.iter().flat_map(|plan| {
            let names: BTreeSet<Name> =
                plan.items.iter().flat_map(|(_, names)| names).copied().collect();
            names.into_iter().map(|(kind, key)| [kind, key, plan.segment])
        });
        (!self.loading.is_empty()).then(|| list(rows))
    }

    /// Takes the rows of [`POSTINGS`](crate::sql::POSTINGS): kind, key, segment
    /// and positions. Returns the positions of candidates, in the order of the
    /// search.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if a row is malformed.
    pub fn take_postings(
        &mut self,
        rows: impl IntoIterator<Item = Result<(i64, i64, i64, Vec<u8>)>>,
    ) -> Result<Vec<i64>> {
        let mut loaded: HashMap<(i64, Name), Vec<u16>> = HashMap::new();
        for row in rows {
            let (kind, key, segment, positions) = row?;
            loaded.insert((segment, (kind, key)), unpack(&positions)?);
        }
        let mut candidates = Vec::new();
        for plan in &self.loading {
            let mut found = plan.candidates(&loaded);
            if !self.forward {
                found.reverse();
            }
            let first = plan.segment * SEGMENT;
            let positions = found.into_iter().map(|offset| first + i64::from(offset));
            candidates.extend(positions.filter(|at| (self.low..=self.high).contains(at)));
        }
        Ok(candidates)
    }
}

impl Item {
    fn names(&self) -> &[Name] {
        let (Self::All(names) | Self::Any(names)) = self;
        names
    }
}

impl Plan {
    fn of(segment: i64, items: &[Item], sizes: &HashMap<Name, i64>) -> Self {
        let mut plan = Self { segment, items: Vec::new(), bytes: 0, loaded: 0 };
        for item in items {
            let mut names: Vec<(i64, Name)> = item
                .names()
                .iter()
                .filter_map(|name| sizes.get(name).map(|bytes| (*bytes, *name)))
                .collect();
            match item {
                Item::All(all) if names.len() == all.len() => {
                    names.sort_unstable();
                    let rarest = names.first().map_or(0, |(bytes, _)| *bytes);
                    names.retain(|(bytes, _)| *bytes <= rarest * WORTH_JOINING);
                    plan.bytes += rarest;
                    plan.loaded += names.iter().map(|(bytes, _)| bytes).sum::<i64>();
                    plan.items.push((true, names.into_iter().map(|(_, name)| name).collect()));
                }
                Item::All(_) => {}
                Item::Any(_) => {
                    let bytes: i64 = names.iter().map(|(bytes, _)| bytes).sum();
                    plan.bytes += bytes;
                    plan.loaded += bytes;
                    plan.items.push((false, names.into_iter().map(|(_, name)| name).collect()));
                }
            }
        }
        plan
    }

    /// The candidates in ascending order, each once.
    fn candidates(&self, loaded: &HashMap<(i64, Name), Vec<u16>>) -> Vec<u16> {
        let of = |name: &Name| loaded.get(&(self.segment, *name)).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<u16> = Vec::new();
        for (is_all, names) in &self.items {
            match names.split_first() {
                Some((rarest, others)) if *is_all => {
                    let in_others = |offset: &&u16| {
                        others.iter().all(|name| of(name).binary_search(offset).is_ok())
                    };
                    found.extend(of(rarest).iter().filter(in_others));
                }
                _ => found.extend(names.iter().flat_map(of)),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The names that a pattern matches, as a range in the order of their bytes. Names have
/// no control characters, so no name lies between a name and the same name followed by
/// U+0001.
fn range_of(pattern: &Pattern) -> (String, Option<String>) {
    match pattern {
        Pattern::Is(name) => (name.to_string(), Some(format!("{name}\u{1}"))),
        Pattern::StartsWith(prefix) => (prefix.to_string(), successor(prefix)),
    }
}

fn list<const N: usize>(rows: impl Iterator<Item = [i64; N]>) -> String {
    rows.map(|row| serde_json::Value::from(row.to_vec())).collect::<serde_json::Value>().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: [&str; 4] = ["a", "b", "c", "d"];

    /// Events spread over three segments, with their tags and types.
    fn log() -> impl Strategy<Value = Vec<(i64, Vec<usize>, usize)>> {
        let event = (1..3 * SEGMENT, prop::collection::vec(0..TAGS.len(), 0..3), 0_usize..3);
        prop::collection::vec(event, 0..60).prop_map(|mut events| {
            events.sort_unstable();
            events.dedup_by_key(|event| event.0);
            events
        })
    }

    fn item() -> impl Strategy<Value = FilterItem> {
        let tags = prop::collection::vec(0..TAGS.len(), 0..3);
        (tags, 0_usize..3, any::<bool>()).prop_map(|(tags, event_type, is_typed)| {
            let is_typed = is_typed || tags.is_empty();
            let item = tags
                .into_iter()
                .fold(FilterItem::new(), |item, tag| item.with_tag(TAGS[tag]).unwrap());
            if is_typed { item.with_type(format!("T{event_type}")).unwrap() } else { item }
        })
    }

    /// Runs a search as a driver with the tables would.
    fn answer(search: &mut Search, events: &[(i64, Vec<usize>, usize)]) -> Vec<i64> {
        let mut rows: HashMap<(i64, i64, i64), Vec<u8>> = HashMap::new();
        for (at, tags, event_type) in events {
            let tags: BTreeSet<_> = tags.iter().collect();
            let names = tags.into_iter().map(|tag| (TAG, *tag)).chain([(TYPE, *event_type)]);
            for (kind, key) in names {
                let row =
                    rows.entry((kind, i64::try_from(key).unwrap(), at / SEGMENT)).or_default();
                row.extend(u16::try_from(at % SEGMENT).unwrap().to_be_bytes());
            }
        }
        let [types, tags] = search.terms();
        let types: Vec<(String, Option<String>)> = serde_json::from_str(&types).unwrap();
        let tags: Vec<String> = serde_json::from_str(&tags).unwrap();
        let mut terms = Vec::new();
        for (index, (from, to)) in types.iter().enumerate() {
            let is_in = |name: &String| name >= from && to.as_ref().is_none_or(|to| name < to);
            let keys = (0..3).filter(|key| is_in(&format!("T{key}")));
            terms.extend(keys.map(|key| (TYPE, i64::try_from(index).unwrap(), key)));
        }
        for (index, tag) in tags.iter().enumerate() {
            let key = TAGS.iter().position(|name| name == tag).unwrap();
            terms.push((TAG, i64::try_from(index).unwrap(), i64::try_from(key).unwrap()));
        }
        search.take_terms(terms);
        let mut found = Vec::new();
        while let Some((names, from, to)) = search.next_window() {
            let names: Vec<(i64, i64)> = serde_json::from_str(&names).unwrap();
            let is_wanted = |(kind, key, segment): &(i64, i64, i64)| {
                names.contains(&(*kind, *key)) && (from..=to).contains(segment)
            };
            search.take_sizes(rows.iter().filter(|(row, _)| is_wanted(row)).map(
                |(row, positions)| (row.2, row.0, row.1, i64::try_from(positions.len()).unwrap()),
            ));
            while let Some(wanted) = search.next_load() {
                let wanted: Vec<(i64, i64, i64)> = serde_json::from_str(&wanted).unwrap();
                let rows = wanted.iter().map(|row| Ok((row.0, row.1, row.2, rows[row].clone())));
                found.extend(search.take_postings(rows).unwrap());
            }
        }
        found
    }

    proptest! {
        #[test]
        fn every_event_that_matches_is_found_in_order(
            events in log(),
            items in prop::collection::vec(item(), 1..4),
            low in 1..SEGMENT,
            length in MIN_RANGE..3 * SEGMENT,
            forward: bool,
        ) {
            let filter = Filter::any_of(items.clone()).unwrap();
            let high = low + length;
            let mut search = Search::of(&filter, (low, high), forward).unwrap();
            let found = answer(&mut search, &events);
            let matches = |(_, tags, event_type): &&(i64, Vec<usize>, usize)| {
                let has = |tag: &downlink::Tag| tags.iter().any(|own| TAGS[*own] == tag.as_str());
                items.iter().map(FilterItem::parts).any(|item| {
                    let is_of_type = item.types.is_empty()
                        || item.types.contains(&Pattern::Is(format!("T{event_type}").into()));
                    item.tags.iter().all(has) && is_of_type
                })
            };
            let in_range = |event: &&(i64, Vec<usize>, usize)| (low..=high).contains(&event.0);
            let mut expected: Vec<i64> =
                events.iter().filter(in_range).filter(matches).map(|event| event.0).collect();
            let in_order = if forward {
                found.is_sorted()
            } else {
                expected.reverse();
                found.iter().rev().is_sorted()
            };
            prop_assert!(in_order, "{:?}", found);
            let kept: Vec<i64> = found.iter().copied().filter(|at| expected.contains(at)).collect();
            prop_assert_eq!(kept, expected);
        }
    }

    #[test]
    fn a_filter_is_looked_up_if_each_alternative_has_names() {
        let item = FilterItem::new;
        let of = |items: Vec<FilterItem>| {
            Search::of(&Filter::any_of(items).unwrap(), (1, 1_000), true).is_some()
        };
        assert!(of(vec![item().with_tag("a").unwrap()]));
        assert!(of(vec![item().with_type_prefix("A").unwrap(), item().with_tag("a").unwrap()]));
        assert!(!of(vec![item().with_tag("a").unwrap(), item().with_stream("s").unwrap()]));
        assert!(!of(vec![item().without_type("A").unwrap()]));
        assert!(Search::of(&Filter::everything(), (1, 1_000), true).is_none());
        let short = Filter::any_of([item().with_tag("a").unwrap()]).unwrap();
        assert!(Search::of(&short, (1, 10), true).is_none());
    }

    #[test]
    fn the_rarest_tag_comes_first_and_frequent_tags_are_not_loaded() {
        let all = [(TAG, 1), (TAG, 2), (TAG, 3)];
        let sizes = HashMap::from([(all[0], 4_000), (all[1], 20), (all[2], 200)]);
        let plan = Plan::of(0, &[Item::All(all.to_vec())], &sizes);
        assert_eq!(plan.items, [(true, vec![all[1], all[2]])]);
        let missing = HashMap::from([(all[0], 4_000), (all[1], 20)]);
        assert!(Plan::of(0, &[Item::All(all.to_vec())], &missing).items.is_empty());
    }
}
