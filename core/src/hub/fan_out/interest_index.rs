use std::collections::{BTreeMap, HashMap};

use super::interest::{Interest, Key};
use crate::event::Event;
use crate::filter::{Filter, Pattern};

/// Finds the subscriptions that an event may concern: perhaps too many, never too few.
#[derive(Debug, Default)]
pub(super) struct InterestIndex {
    everything: Vec<usize>,
    streams: NameIndex,
    types: NameIndex,
    tags: Lists,
}

/// The subscriptions by names and by prefixes of names.
#[derive(Debug, Default)]
struct NameIndex {
    whole: Lists,
    prefixes: Lists,
    /// How many different prefixes there are of each length, in bytes.
    lengths: BTreeMap<usize, usize>,
}

type Lists = HashMap<Box<str>, Vec<usize>>;

impl InterestIndex {
    pub(super) fn add(&mut self, key: usize, filter: &Filter) {
        match Interest::of(filter) {
            Interest::Everything => self.everything.push(key),
            Interest::AnyOf(keys) => keys.into_iter().for_each(|by| self.add_by(by, key)),
        }
    }

    /// Removes what was added with the same filter.
    pub(super) fn remove(&mut self, key: usize, filter: &Filter) {
        match Interest::of(filter) {
            Interest::Everything => remove_one(&mut self.everything, key),
            Interest::AnyOf(keys) => keys.into_iter().for_each(|by| self.remove_by(by, key)),
        }
    }

    /// Calls `found` with every subscription that the event may concern, some of them
    /// more than once.
    pub(super) fn for_each_interested(&self, event: &Event, mut found: impl FnMut(usize)) {
        self.everything.iter().copied().for_each(&mut found);
        self.streams.for_each(event.stream().as_str(), &mut found);
        self.types.for_each(event.event_type().as_str(), &mut found);
        if !self.tags.is_empty() {
            for tag in event.tags() {
                for_each(&self.tags, tag.as_str(), &mut found);
            }
        }
    }

    fn add_by(&mut self, by: Key<'_>, key: usize) {
        match by {
            Key::Stream(pattern) => self.streams.add(pattern, key),
            Key::Type(pattern) => self.types.add(pattern, key),
            Key::Tag(tag) => {
                add(&mut self.tags, tag.as_str(), key);
            }
        }
    }

    fn remove_by(&mut self, by: Key<'_>, key: usize) {
        match by {
            Key::Stream(pattern) => self.streams.remove(pattern, key),
            Key::Type(pattern) => self.types.remove(pattern, key),
            Key::Tag(tag) => {
                remove(&mut self.tags, tag.as_str(), key);
            }
        }
    }
}

impl NameIndex {
    fn add(&mut self, pattern: &Pattern, key: usize) {
        match pattern {
            Pattern::Is(name) => {
                add(&mut self.whole, name, key);
            }
            Pattern::StartsWith(prefix) => {
                if add(&mut self.prefixes, prefix, key) {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
                }
            }
        }
    }

    fn remove(&mut self, pattern: &Pattern, key: usize) {
        match pattern {
            Pattern::Is(name) => {
                remove(&mut self.whole, name, key);
            }
            Pattern::StartsWith(prefix) => {
                if remove(&mut self.prefixes, prefix, key)
                    && let Some(count) = self.lengths.get_mut(&prefix.len())
                {
                    *count -= 1;
                    if *count == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
            }
        }
    }

    fn for_each(&self, name: &str, found: &mut impl FnMut(usize)) {
        if !self.whole.is_empty() {
            for_each(&self.whole, name, found);
        }
        for (length, _) in self.lengths.range(..=name.len()) {
            // A prefix may end within a character of this name, which it then is no prefix of.
            if let Some(prefix) = name.get(..*length) {
                for_each(&self.prefixes, prefix, found);
            }
        }
    }
}

fn for_each(lists: &Lists, name: &str, found: &mut impl FnMut(usize)) {
    if let Some(list) = lists.get(name) {
        list.iter().copied().for_each(found);
    }
}

/// Returns whether it is the first with this name.
fn add(lists: &mut Lists, name: &str, key: usize) -> bool {
    if let Some(list) = lists.get_mut(name) {
        list.push(key);
        return false;
    }
    lists.insert(name.into(), vec![key]);
    true
}

/// Returns whether it was the last with this name.
fn remove(lists: &mut Lists, name: &str, key: usize) -> bool {
    let Some(list) = lists.get_mut(name) else { return false };
    remove_one(list, key);
    let is_empty = list.is_empty();
    if is_empty {
        lists.remove(name);
    }
    is_empty
}

fn remove_one(list: &mut Vec<usize>, key: usize) {
    // The latest first: most connections are short.
    if let Some(place) = list.iter().rposition(|other| *other == key) {
        list.swap_remove(place);
    }
    if list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}
