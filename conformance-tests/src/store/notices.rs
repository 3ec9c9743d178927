use std::collections::HashSet;
use std::sync::Arc;

use downlink::commit::{Commit, CommitNotice, Commits};
use downlink::event::ContentType;
use downlink::{
    Append, Cursor, ErrorKind, Event, EventId, EventStore, EventType, Expected, NewEvent, Position,
    Read,
};
use tokio::task::yield_now;

use super::group_commit;
use crate::fixture::{GroupCommitFixture, StoreFixture};
use crate::sample::{append, event, log};
use crate::tasks;

/// The stream of the last append of each law here.
const END: &str = "end";

/// The advice when a notice is not what a read finds.
const TOO_EARLY: &str = "send a notice once its commit is certain, and not before";

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
        "`commits` of this store is `None`: leave out `notifying_store!` and \
         `notifying_group_commit_store!`",
    )
}

async fn next(commits: &mut Commits) -> CommitNotice {
    let notice = tasks::soon(NO_NOTICE, commits.next()).await;
    notice.expect("commit notices must not end as long as the store exists")
}

const NO_NOTICE: &str = "events were stored, and no notice or hint came: send a notice for each \
                         commit of this handle, and a hint where the outcome is not certain";

/// Compares each notice with the log, up to the notice of the last append.
async fn check_each(store: Arc<dyn EventStore>, mut commits: Commits) {
    let mut last = Position::ZERO;
    loop {
        let CommitNotice::Committed(commit) = next(&mut commits).await else {
            if log(&*store).await.last().is_some_and(|event| event.stream().as_str() == END) {
                return;
            }
            continue;
        };
        let first = commit.events.first().expect("a notice has to have events").position();
        assert!(
            first > last,
            "the notice of a commit from {first} came after the notice of one up to {last}: send \
             notices in commit order"
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
    let read =
        Read::log().with_after(commit.from).with_limit(told.len()).with_max_bytes(usize::MAX);
    let stored = store.read_log(read).await.unwrap_or_else(|error| {
        panic!(
            "a notice of a commit after {} came, and a read after that cursor fails with \
             `{error}`: {TOO_EARLY}",
            commit.from
        )
    });
    let stored = stored.events;
    assert!(
        stored.len() == told.len(),
        "a notice has {} events and a read finds {} of them: {TOO_EARLY}",
        told.len(),
        stored.len()
    );
    assert!(
        stored[0].position() >= told[0].position(),
        "a notice claims that its commit follows {}, and {} is between them: take `from` from the \
         end of the log inside the transaction",
        commit.from,
        stored[0].cursor()
    );
    for (told, stored) in told.iter().zip(&stored) {
        assert!(
            told == stored,
            "an event in a notice differs from the stored one, so live and replay differ: the \
             notice has {told:?} and {stored:?} is stored"
        );
    }
}

/// Makes appends of every kind, including repeats and appends that are refused.
async fn write_everything(store: Arc<dyn EventStore>, writer: usize) {
    let own = format!("flight-{writer}");
    let mut stored: Option<Append> = None;
    for turn in 0..24 {
        let offered = match turn % 6 {
            0 => Append::to(&own, Expected::Any, varied_events()),
            1 => Append::to(&own, Expected::Any, varied_events()).and_then(|append| {
                append.and(format!("gate-{writer}"), Expected::Any, [event("GateChanged")])
            }),
            2 => Ok(stored.clone().expect("the append of the turn before was stored")),
            3 => Append::to(&own, Expected::NoStream, [event("FlightScheduled")]),
            4 => Append::to("gate-C71", Expected::Any, varied_events()),
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
                "an append failed for another reason than a conflict or a reused id: {error}"
            ),
        }
        yield_now().await;
    }
}

/// Events with every kind of content.
fn varied_events() -> Vec<NewEvent> {
    let json = NewEvent::json("FlightDelayed", " {\"minutes\": 20,\r\n \"gate\": \"C71\"}\n")
        .and_then(|event| event.with_metadata_json("{\"by\": \"tower\"}"))
        .and_then(|event| event.with_tag("gate:C71")?.with_tag("Gate:c71"));
    let bytes = ContentType::new("application/octet-stream")
        .and_then(|of| NewEvent::bytes("RadarSeen", of, vec![0, 10, 13, 255]));
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
            "a receiver that follows a store by its notices has {} events of {}",
            follower.seen.len(),
            all.len() - follower.begun
        );
    }
    assert!(
        slow.hints > 0 && slow.notice_bytes < large,
        "{} bytes of notices were buffered for a receiver that took none: bound the buffer, and \
         send a hint for the rest",
        slow.notice_bytes
    );
}

/// Appends more than a store may buffer for a receiver.
async fn append_too_much(store: &Arc<dyn EventStore>) -> usize {
    let payload = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let mut bytes = 0;
    for _ in 0..12 {
        let pair = [(), ()].map(|()| NewEvent::json("PictureTaken", payload.clone()));
        let pair = pair.map(|event| event.expect("a valid event"));
        bytes += pair.iter().map(NewEvent::size).sum::<usize>();
        let offered = Append::to("flight-large", Expected::Any, pair).expect("a valid name");
        store.append(offered).await.expect("an append");
    }
    bytes
}

/// Follows a store by its notices, and reads the log only at a hint.
struct Follower {
    store: Arc<dyn EventStore>,
    commits: Commits,
    /// How many events the log had when it began.
    begun: usize,
    at: Cursor,
    seen: Vec<Event>,
    hints: usize,
    notice_bytes: usize,
}

impl Follower {
    async fn of(store: &Arc<dyn EventStore>) -> Self {
        let commits = commits_of(&**store);
        let at = store.head().await.expect("a head");
        let begun = log(&**store).await.len();
        let (store, seen) = (Arc::clone(store), Vec::new());
        Self { store, commits, begun, at, seen, hints: 0, notice_bytes: 0 }
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
        self.notice_bytes += commit.events.iter().map(Event::size).sum::<usize>();
        if commit.from.position() < self.at.position() {
            // A hint that came earlier made it read these events already.
            let is_known = commit.events.iter().all(|event| self.seen.contains(event));
            assert!(
                is_known,
                "events were notified twice or at positions that are not theirs: send one notice \
                 for each commit, once it is certain"
            );
            return;
        }
        assert!(
            commit.from == self.at,
            "after {} came the notice of a commit that follows {}: {NO_NOTICE}",
            self.at,
            commit.from
        );
        self.seen.extend(commit.events.iter().cloned());
        self.at = self.seen.last().map_or(self.at, Event::cursor);
    }

    async fn read(&mut self) {
        self.hints += 1;
        loop {
            let page = self.store.read_log(Read::log().with_after(self.at)).await.expect("a page");
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
                "a notice has an event of an append that failed: send a notice after the commit, \
                 and only with what it has stored ({ghost:?})"
            );
            follower.take(commit);
        } else {
            follower.read().await;
        }
    }
    assert!(
        follower.seen.len() == stored.len(),
        "a receiver that follows the store does not have all that is stored"
    );
}
