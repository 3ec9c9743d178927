use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, WeakShared};

use super::{Order, Reading};
use crate::hub::run::cost;
use crate::hub::stretch::Stretch;
use crate::{Cursor, Filter, Position, Result};

/// The memory that a stretch is counted with besides its events.
pub(super) const OVERHEAD: usize = 512;

type WeakReading = WeakShared<BoxFuture<'static, Result<Arc<Stretch>>>>;

/// What was read and is kept, and what is being read.
#[derive(Default)]
pub(super) struct State {
    drawers: HashMap<Arc<Filter>, Drawer>,
    /// What is kept, in the order in which it may be given up.
    order: VecDeque<(Arc<Filter>, Position)>,
    bytes: usize,
    /// Counts the reads, so that each knows its own entry.
    reads: u64,
    /// Counts how often everything was forgotten.
    forgotten: u64,
}

/// What there is of one filter.
#[derive(Default)]
struct Drawer {
    /// By the position after which they begin.
    kept: BTreeMap<Position, Kept>,
    /// By the place from which they were asked for.
    readings: BTreeMap<Cursor, UnderWay>,
    /// Those of them that have a turn.
    begun: Vec<Begun>,
}

struct Kept {
    stretch: Arc<Stretch>,
    bytes: usize,
    /// Since it was last passed over.
    used: bool,
}

struct UnderWay {
    number: u64,
    reading: WeakReading,
}

/// A read that goes on, and the place from which it reads.
struct Begun {
    number: u64,
    from: Cursor,
    reading: WeakReading,
}

/// What to do when the turn to read has come.
pub(super) enum Plan {
    /// Nothing: it was read meanwhile.
    Take(Arc<Stretch>),
    /// Wait: what is wanted is being read.
    Wait(Reading),
    /// Read from here.
    Read(Cursor),
}

impl State {
    pub(super) fn kept(&mut self, filter: &Filter, cursor: Cursor) -> Option<Arc<Stretch>> {
        self.drawers.get_mut(filter)?.kept(cursor)
    }

    pub(super) fn under_way(&self, filter: &Filter, from: Cursor) -> Option<Reading> {
        self.drawers.get(filter)?.readings.get(&from)?.reading.upgrade()
    }

    /// A number for the next read, and how often everything was forgotten.
    pub(super) fn next_read(&mut self) -> (u64, u64) {
        self.reads += 1;
        (self.reads, self.forgotten)
    }

    pub(super) fn add(
        &mut self,
        filter: Arc<Filter>,
        from: Cursor,
        number: u64,
        reading: &Reading,
    ) {
        let reading = reading.downgrade().expect("it was not polled");
        let drawer = self.drawers.entry(filter).or_default();
        drawer.readings.insert(from, UnderWay { number, reading });
    }

    /// Forgets everything: the log is another one.
    pub(super) fn forget(&mut self) {
        *self = Self { reads: self.reads, forgotten: self.forgotten + 1, ..Self::default() };
    }

    /// What an order does now that it has a turn. What others read or wait for
    /// counts if it begins less than `reach` positions before.
    pub(super) fn plan(&mut self, order: &Order, reach: usize) -> Plan {
        let Some(drawer) = self.drawers.get_mut(&order.filter) else {
            return Plan::Read(order.from);
        };
        if let Some(stretch) = drawer.kept(order.from) {
            return Plan::Take(stretch);
        }
        if let Some(reading) = drawer.begun_before(order.from, reach) {
            return Plan::Wait(reading);
        }
        let from = drawer.first_that_waits(order.from, reach);
        let own = drawer.readings.get(&order.from);
        if let Some(own) = own.filter(|own| own.number == order.number) {
            let (number, reading) = (order.number, own.reading.clone());
            drawer.begun.push(Begun { number, from, reading });
        }
        Plan::Read(from)
    }

    /// The filter as it is shared by everything that is kept of it.
    pub(super) fn name_of(&self, filter: &Filter) -> Arc<Filter> {
        let known = self.drawers.get_key_value(filter);
        known.map_or_else(|| Arc::new(filter.clone()), |(known, _)| Arc::clone(known))
    }

    /// Keeps what an order has read, if nothing was forgotten since.
    pub(super) fn keep(&mut self, order: &Order, stretch: Arc<Stretch>, max_bytes: usize) {
        let bytes = stretch.events.iter().map(cost).sum::<usize>() + OVERHEAD;
        if self.forgotten != order.forgotten || bytes > max_bytes {
            return;
        }
        let from = stretch.from.position();
        self.bytes += bytes;
        let drawer = self.drawers.entry(Arc::clone(&order.filter)).or_default();
        match drawer.kept.insert(from, Kept { stretch, bytes, used: false }) {
            // Its place in the order serves the new one.
            Some(former) => self.bytes -= former.bytes,
            None => self.order.push_back((Arc::clone(&order.filter), from)),
        }
        self.give_up(max_bytes);
    }

    /// Gives up the oldest, except what was used since it was last passed over.
    fn give_up(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some((filter, from)) = self.order.pop_front() else { return };
            let Some(drawer) = self.drawers.get_mut(&filter) else { continue };
            let Some(kept) = drawer.kept.get_mut(&from) else { continue };
            if kept.used {
                kept.used = false;
                self.order.push_back((filter, from));
                continue;
            }
            self.bytes -= kept.bytes;
            drawer.kept.remove(&from);
            self.tidy(&filter);
        }
    }

    /// An order goes back into the queue: its place is no longer being read.
    pub(super) fn queued_again(&mut self, order: &Order) {
        if let Some(drawer) = self.drawers.get_mut(&order.filter) {
            drawer.begun.retain(|begun| begun.number != order.number);
        }
    }

    /// A read ended, whether anybody still wanted it or not.
    pub(super) fn ended(&mut self, filter: &Arc<Filter>, from: Cursor, number: u64) {
        let Some(drawer) = self.drawers.get_mut(filter) else { return };
        if drawer.readings.get(&from).is_some_and(|under_way| under_way.number == number) {
            drawer.readings.remove(&from);
        }
        drawer.begun.retain(|begun| begun.number != number);
        self.tidy(filter);
    }

    fn tidy(&mut self, filter: &Arc<Filter>) {
        let is_empty = |drawer: &Drawer| drawer.kept.is_empty() && drawer.readings.is_empty();
        if self.drawers.get(filter).is_some_and(is_empty) {
            self.drawers.remove(filter);
        }
    }
}

impl Drawer {
    fn kept(&mut self, cursor: Cursor) -> Option<Arc<Stretch>> {
        let (_, nearest) = self.kept.range_mut(..=cursor.position()).next_back()?;
        nearest.stretch.holds(cursor).then(|| {
            nearest.used = true;
            Arc::clone(&nearest.stretch)
        })
    }

    fn begun_before(&self, cursor: Cursor, reach: usize) -> Option<Reading> {
        let mut begun = self.begun.iter().filter(|begun| is_near(begun.from, cursor, reach));
        begun.find_map(|begun| begun.reading.upgrade())
    }

    /// The first place for which a read waits and whose page has this one, too.
    fn first_that_waits(&self, cursor: Cursor, reach: usize) -> Cursor {
        let before = self.readings.range(..cursor).rev();
        let near = before.take_while(|(from, _)| is_near(**from, cursor, reach));
        let has_begun = |number| self.begun.iter().any(|begun| begun.number == number);
        // Whether anybody still waits is not asked: what answers might be the last to hold the
        // read, whose end takes the lock.
        let waiting = near.filter(|(_, under_way)| !has_begun(under_way.number));
        waiting.last().map_or(cursor, |(from, _)| *from)
    }
}

fn is_near(from: Cursor, cursor: Cursor, reach: usize) -> bool {
    let distance = cursor.position().get().checked_sub(from.position().get());
    distance.is_some_and(|distance| usize::try_from(distance).is_ok_and(|n| n < reach))
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("kept", &self.order.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
