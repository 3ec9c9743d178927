use std::collections::HashSet;
use std::sync::Arc;

use downlink::commit::{Commit, CommitNotice, Commits};
use downlink::{
    Append, ContentType, Cursor, ErrorKind, Event, EventId, EventStore, EventType, Expected,
    NewEvent, Position, Read,
};
use tokio::task::yield_now;

use super::group_commit;
use crate::sample::{append, event, log};
use crate::{GroupCommitFixture, StoreFixture, tasks};

/// The stream of the last append of a law.
const END: &str = "end";

/// Says that what a notice says is not what a read finds.
const TOO_EARLY: &str = "tell a commit when it is certain, and not before";

/// **Law.** The events of a notice are exactly, to the byte, those that a read
/// after its `from` returns at the moment the notice arrives. `from` is the
/// cursor of the event before them, and notices arrive in commit order.
pub async fn notified_commits_are_stored(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let commits = commits_of(&*store);
    let checking = tokio::spawn(check_each(Arc::clone(&store), commits));
    let writers = (0..6).map(|writer| tokio::spawn(write_everything(Arc::clone(&store), writer)));
    tasks::join(writers.collect::<Vec<_>>()).await;
    store.append(append(END, Expected::NoStream, 1)).await.expect("an append");
    tasks::join([checking]).await;
}

fn commits_of(store: &dyn EventStore) -> Commits {
    store.commits().expect(
        "this store tells nothing of its commits: leave `notifying_store!` and `notifying_group_commit_store!` out",
    )
}

async fn next(commits: &mut Commits) -> CommitNotice {
    let notice = tasks::soon(NOT_TOLD, commits.next()).await;
    notice.expect("what a store tells does not end as long as the store is there")
}

const NOT_TOLD: &str = "events were stored, and neither they nor a hint were told: tell each commit \
                        of this handle, and hint where it is not certain";

/// Compares each notice with the log, until the last append was told.
async fn check_each(store: Arc<dyn EventStore>, mut commits: Commits) {
    let mut last = Position::ZERO;
    loop {
        let CommitNotice::Committed(commit) = next(&mut commits).await else {
            if log(&*store).await.last().is_some_and(|event| event.stream().as_str() == END) {
                return;
            }
            continue;
        };
        let first = commit.events.first().expect("a notice without events says nothing").position();
        assert!(
            first > last,
            "a commit from {first} on was told after one up to {last}: tell commits in their order"
        );
        compare(&*store, &commit).await;
        let Some(newest) = commit.events.last() else { continue };
        if newest.stream().as_str() == END {
            return;
        }
        last = newest.position();
    }
}

async fn compare(store: &dyn EventStore, commit: &Commit) {
    let told = &commit.events;
    let read = Read::log().resume(commit.from).limit(told.len()).max_bytes(usize::MAX);
    let stored = store.read(read).await.unwrap_or_else(|error| {
        panic!(
            "a commit after {} was told, and a read after that fails with `{error}`: {TOO_EARLY}",
            commit.from
        )
    });
    let stored = stored.events;
    assert!(
        stored.len() == told.len(),
        "{} events were told of which a read finds {}: {TOO_EARLY}",
        told.len(),
        stored.len()
    );
    assert!(
        stored[0].position() >= told[0].position(),
        "a commit was told to follow {}, and {} is between them: `from` is the end of the log as \
         it is inside the transaction",
        commit.from,
        stored[0].cursor()
    );
    for (told, stored) in told.iter().zip(&stored) {
        assert!(
            told == stored,
            "an event was told otherwise than it is stored, so that live and replay differ: {told:?} \
             was told and {stored:?} is stored"
        );
    }
}

/// Appends of every kind, of which some are repeats and some are refused.
async fn write_everything(store: Arc<dyn EventStore>, writer: usize) {
    let own = format!("flight-{writer}");
    let mut stored: Option<Append> = None;
    for turn in 0..24 {
        let offered = match turn % 6 {
            0 => Append::to(&own, Expected::Any, colourful()),
            1 => Append::to(&own, Expected::Any, colourful()).and_then(|append| {
                append.and(format!("gate-{writer}"), Expected::Any, [event("GateChanged")])
            }),
            2 => Ok(stored.clone().expect("the turn before was stored")),
            3 => Append::to(&own, Expected::NoStream, [event("FlightScheduled")]),
            4 => Append::to("gate-C71", Expected::Any, colourful()),
            _ => {
                let known = stored.iter().flat_map(Append::events).next().expect("an event");
                let other = event("FlightLanded").with_id(known.id());
                Append::to(&own, Expected::Any, [other])
            }
        };
        let offered = offered.expect("a valid append");
        match store.append(offered.clone()).await {
            Ok(_) => stored = Some(offered),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Conflict | ErrorKind::IdReused),
                "an append failed for no reason of its own: {error}"
            ),
        }
        yield_now().await;
    }
}

/// Events with everything that an event can have.
fn colourful() -> Vec<NewEvent> {
    let json = NewEvent::with_json("FlightDelayed", " {\"minutes\": 20,\r\n \"gate\": \"C71\"}\n")
        .and_then(|event| event.with_metadata_json("{\"by\": \"tower\"}"))
        .and_then(|event| event.with_tag("gate:C71")?.with_tag("Gate:c71"));
    let bytes = ContentType::new("application/octet-stream")
        .and_then(|of| NewEvent::with_bytes("RadarSeen", of, vec![0, 10, 13, 255]));
    vec![json.expect("a valid event"), bytes.expect("a valid event")]
}

/// **Law.** Everything that is stored is notified, by its events or by a hint:
/// a receiver that takes every notice, and reads the log only at a hint,
/// reaches the end of the log. A receiver that takes no notices for a while
/// gets a hint in place of those that exceed the buffer.
pub async fn stored_commits_are_notified(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    store.append(append("flight-0", Expected::NoStream, 2)).await.expect("an append");
    let mut quick = Follower::of(&store).await;
    let mut slow = Follower::of(&store).await;
    let writers = (0..6).map(|writer| tokio::spawn(write_everything(Arc::clone(&store), writer)));
    let following = tokio::spawn(async move {
        quick.until_the_end().await;
        quick
    });
    tasks::join(writers.collect::<Vec<_>>()).await;
    let large = append_too_much(&store).await;
    store.append(append(END, Expected::NoStream, 1)).await.expect("an append");
    let quick = tasks::join([following]).await.remove(0);
    slow.until_the_end().await;
    let all = log(&*store).await;
    for follower in [&quick, &slow] {
        assert!(
            follower.seen == all[follower.begun..],
            "who follows a store by its notices has {} events of {}",
            follower.seen.len(),
            all.len() - follower.begun
        );
    }
    assert!(
        slow.hints > 0 && slow.told_bytes < large,
        "{} bytes of notices were kept for a follower that took none: keep some, and hint for the \
         rest",
        slow.told_bytes
    );
}

/// Appends more than is kept for a follower.
async fn append_too_much(store: &Arc<dyn EventStore>) -> usize {
    let payload = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let mut bytes = 0;
    for _ in 0..12 {
        let pair = [(), ()].map(|()| NewEvent::with_json("PictureTaken", payload.clone()));
        let pair = pair.map(|event| event.expect("a valid event"));
        bytes += pair.iter().map(NewEvent::size).sum::<usize>();
        let offered = Append::to("flight-large", Expected::Any, pair).expect("a valid name");
        store.append(offered).await.expect("an append");
    }
    bytes
}

/// Follows a store by its notices, and reads the log at a hint and never else.
struct Follower {
    store: Arc<dyn EventStore>,
    commits: Commits,
    /// The events that were there when it began.
    begun: usize,
    at: Cursor,
    seen: Vec<Event>,
    hints: usize,
    told_bytes: usize,
}

impl Follower {
    async fn of(store: &Arc<dyn EventStore>) -> Self {
        let commits = commits_of(&**store);
        let at = store.head().await.expect("a head");
        let begun = log(&**store).await.len();
        let (store, seen) = (Arc::clone(store), Vec::new());
        Self { store, commits, begun, at, seen, hints: 0, told_bytes: 0 }
    }

    async fn until_the_end(&mut self) {
        while self.seen.last().is_none_or(|event| event.stream().as_str() != END) {
            match next(&mut self.commits).await {
                CommitNotice::Hint => self.read().await,
                CommitNotice::Committed(commit) => self.take(&commit),
            }
        }
    }

    fn take(&mut self, commit: &Commit) {
        self.told_bytes += commit.events.iter().map(Event::size).sum::<usize>();
        if commit.from.position() < self.at.position() {
            // It was read at a hint that came before it.
            let is_known = commit.events.iter().all(|event| self.seen.contains(event));
            assert!(
                is_known,
                "events were told a second time, or at other places than theirs: tell each commit \
                 once, and when it is certain"
            );
            return;
        }
        assert!(
            commit.from == self.at,
            "after {} a commit was told that follows {}: {NOT_TOLD}",
            self.at,
            commit.from
        );
        self.seen.extend(commit.events.iter().cloned());
        self.at = self.seen.last().map_or(self.at, Event::cursor);
    }

    async fn read(&mut self) {
        self.hints += 1;
        loop {
            let page = self.store.read(Read::log().resume(self.at)).await.expect("a page");
            self.seen.extend(page.events);
            self.at = page.scanned;
            if !page.more {
                return;
            }
        }
    }
}

/// **Law.** A failed append is never notified, even if others of its group are
/// stored; those are notified.
pub async fn a_failed_append_is_not_notified(fixture: &dyn GroupCommitFixture) {
    let poison = EventType::new("Poison").expect("a valid type");
    let (store, lock) = fixture.open(&poison).await.expect("a fresh store");
    let mut follower = Follower::of(&store).await;
    for round in 0..3 {
        group_commit::append_a_group(&store, &*lock, &poison, round).await;
    }
    store.append(append(END, Expected::NoStream, 1)).await.expect("an append");
    let stored: HashSet<EventId> = log(&*store).await.iter().map(Event::id).collect();
    while follower.seen.last().is_none_or(|event| event.stream().as_str() != END) {
        let notice = next(&mut follower.commits).await;
        if let CommitNotice::Committed(commit) = &notice {
            let ghost = commit.events.iter().find(|event| !stored.contains(&event.id()));
            assert!(
                ghost.is_none(),
                "an event was told of an append that failed: tell a commit after it, and only what \
                 it has stored ({ghost:?})"
            );
            follower.take(commit);
        } else {
            follower.read().await;
        }
    }
    assert!(
        follower.seen.len() == stored.len(),
        "who follows the store has not all that is stored"
    );
}
