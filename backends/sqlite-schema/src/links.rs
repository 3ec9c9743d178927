//! The links between the events of a stream, which replace an index by stream and version.
//!
//! Each event has `prev`, the position of the previous event of its stream, and `jump`,
//! the position of the stream's event with version `v & (v - 1)`: the lowest set bit
//! cleared, as in a Fenwick tree. So 8 has no jump, 7 jumps to 6, 6 to 4, and 4 has no
//! jump. Any version is reached from the last one in a number of steps that is
//! polylogarithmic in the length of the stream.

use downlink::{Error, ErrorKind, Position, Version};

/// The error of a link, or of a stream's head, that leads to no event or to a wrong one.
#[must_use]
pub fn broken(stream: i64) -> Error {
    let message = format!(
        "a link of stream {stream} leads to no event or to a wrong one: verify the file, and restore a backup"
    );
    Error::new(ErrorKind::Corrupt, message)
}

/// The version that an event's `jump` points to, if any.
#[must_use]
pub fn jump_target(version: Version) -> Option<Version> {
    let number = version.get();
    Version::new(number & (number - 1))
}

/// Which link to follow on the way from one event of a stream to an earlier
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This event is the target.
    Here,
    /// Follow `jump`.
    Jump,
    /// Follow `prev`.
    Previous,
}

/// The next step from the event with version `from` to the one with version `to`, which is
/// not later.
#[must_use]
pub fn step(from: Version, to: Version) -> Step {
    if from <= to {
        return Step::Here;
    }
    match jump_target(from) {
        Some(target) if target >= to => Step::Jump,
        _ => Step::Previous,
    }
}

/// The events of one stream to which later events will link.
///
/// These are the last event, the event that it jumps to, the event that that one jumps
/// to, and so on. The far end of the chain may be unknown: it is fetched when it is needed,
/// once on average for an append of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Oldest first, never empty.
    links: Vec<(Version, Position)>,
    /// Whether the target of the first jump in `links` is unknown.
    is_cut: bool,
}

/// The links of a new event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// The position of the previous event; zero if there is none.
    pub prev: Position,
    /// The position of the event that it jumps to; zero if there is none.
    pub jump: Position,
}

/// The result of [`Chain::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The links of the next event.
    Ready(Links),
    /// The `jump` of the event with this version, at this position, is needed: pass it to
    /// [`Chain::add_jump`], and call `next` again.
    Fetch(Version, Position),
}

impl Chain {
    /// The links of a stream's first event.
    pub const FIRST: Links = Links { prev: Position::ZERO, jump: Position::ZERO };

    /// A stream of which only the last event is known.
    #[must_use]
    pub fn of_head(version: Version, position: Position) -> Self {
        Self { links: vec![(version, position)], is_cut: jump_target(version).is_some() }
    }

    /// The version of the last event.
    #[must_use]
    pub fn version(&self) -> Version {
        self.last().0
    }

    /// The position of the last event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.last().1
    }

    fn last(&self) -> (Version, Position) {
        *self.links.last().expect("a chain has its last event")
    }

    /// The links of the next event.
    #[must_use]
    pub fn next(&self) -> Next {
        let prev = self.position();
        let Some(target) = jump_target(self.version().next()) else {
            return Next::Ready(Links { prev, jump: Position::ZERO });
        };
        let known = self.links.iter().rev().find(|(version, _)| *version <= target);
        let Some((version, jump)) = known else {
            let (version, position) = self.links[0];
            return Next::Fetch(version, position);
        };
        debug_assert_eq!(*version, target, "the target is in the chain of the event before");
        Next::Ready(Links { prev, jump: *jump })
    }

    /// Adds the jump that [`next`](Self::next) asked for.
    pub fn add_jump(&mut self, jump: Position) {
        if let (true, Some(target)) = (self.is_cut, jump_target(self.links[0].0)) {
            self.links.insert(0, (target, jump));
            self.is_cut = jump_target(target).is_some();
        }
    }

    /// Adds the next event.
    pub fn push(&mut self, position: Position) {
        let version = self.version().next();
        let target = jump_target(version);
        while self.links.last().is_some_and(|(last, _)| Some(*last) > target) {
            self.links.pop();
        }
        if self.links.is_empty() {
            self.is_cut = target.is_some();
        }
        self.links.push((version, position));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn position(number: u64) -> Position {
        Position::new(number).unwrap()
    }

    fn version(number: u64) -> Version {
        Version::new(number).unwrap()
    }

    /// Builds a stream with one event at each of these positions. Reduces the chain to its
    /// head wherever `forget` returns true.
    fn build(positions: &[u64], forget: impl Fn(usize) -> bool) -> (Vec<Links>, usize) {
        let (mut rows, mut fetched): (Vec<Links>, usize) = (Vec::new(), 0);
        let mut chain: Option<Chain> = None;
        for (index, at) in positions.iter().enumerate() {
            let links = chain.as_mut().map_or(Chain::FIRST, |chain| {
                loop {
                    match chain.next() {
                        Next::Ready(links) => break links,
                        Next::Fetch(_, of) => {
                            let row = positions.iter().position(|at| *at == of.get()).unwrap();
                            chain.add_jump(rows[row].jump);
                            fetched += 1;
                        }
                    }
                }
            });
            rows.push(links);
            match &mut chain {
                Some(chain) => chain.push(position(*at)),
                None => chain = Some(Chain::of_head(Version::FIRST, position(*at))),
            }
            if forget(index) {
                chain = chain.map(|chain| Chain::of_head(chain.version(), chain.position()));
            }
        }
        (rows, fetched)
    }

    proptest! {
        #[test]
        fn links_point_where_they_should(gaps in prop::collection::vec(1_u64..9, 1..200), forget: u64) {
            let positions: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let (rows, _) = build(&positions, |index| forget >> (index % 64) & 1 == 1);
            for (index, links) in rows.iter().enumerate() {
                let number = u64::try_from(index).unwrap() + 1;
                let at = |number: u64| usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).map_or(0, |i| positions[i]);
                prop_assert_eq!(links.prev.get(), at(number - 1));
                prop_assert_eq!(links.jump.get(), at(number & (number - 1)));
            }
        }

        #[test]
        fn every_version_is_reached_in_few_steps(head in 1_u64..1 << 40, back: u64) {
            let to = version(1 + back % head);
            let (mut at, mut steps) = (version(head), 0);
            loop {
                match step(at, to) {
                    Step::Here => break,
                    Step::Jump => at = jump_target(at).unwrap(),
                    Step::Previous => at = at.previous().unwrap(),
                }
                steps += 1;
            }
            prop_assert_eq!(at, to);
            let bits = 64 - head.leading_zeros();
            prop_assert!(steps <= bits * bits / 2 + bits, "{steps} steps for {bits} bits");
        }
    }

    #[test]
    fn without_a_cache_an_append_fetches_once_on_average() {
        let positions: Vec<u64> = (1..=1_024).collect();
        let (_, fetched) = build(&positions, |_| true);
        assert!(fetched <= 1_024, "{fetched} fetches for 1,024 events");
        let (_, fetched) = build(&positions, |_| false);
        assert_eq!(fetched, 0);
    }

    #[test]
    fn the_chain_stays_short() {
        let mut chain = Chain::of_head(Version::FIRST, position(1));
        let mut seen = HashMap::new();
        for at in 2..=5_000 {
            chain.push(position(at));
            seen.insert(chain.version(), chain.links.len());
        }
        assert!(seen.values().all(|len| *len <= 13));
        assert_eq!(seen[&version(4_096)], 1);
    }
}
