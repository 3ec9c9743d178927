use std::sync::Arc;

use downlink::bus::{Hint, Listener};
use downlink::commit::{Commit, CommitNotice, Commits};
use downlink::{Cursor, Event, EventId, Read};
use futures::{FutureExt, StreamExt};
use tokio::time::sleep;

use crate::hub::Shared;
use crate::hub_bug::HubBug;

/// Reads the log once for all subscribers.
pub(crate) async fn run(shared: Arc<Shared>, mut commits: Option<Commits>) {
    let mut listener = None;
    let mut last = *shared.tip.borrow();
    loop {
        if listener.is_none() {
            let listening = shared.bus.listen();
            listener = if shared.is(HubBug::WaitsForTheBus) {
                listening.await.ok()
            } else {
                // A bus that does not complete `listen` at once is tried again later.
                listening.now_or_never().and_then(Result::ok)
            };
        }
        if !shared.is(HubBug::ClearsTheFlagAfterTheRead) {
            clear(&shared, &mut listener);
        }
        read(&shared, &mut last).await;
        if shared.is(HubBug::ClearsTheFlagAfterTheRead) {
            clear(&shared, &mut listener);
        }
        let hint = wait(&shared, &mut listener, &mut commits, &mut last).await;
        let claimed = hint.and_then(Hint::claimed_position);
        if let (true, Some(claimed)) = (shared.is(HubBug::UsesTheHintAsACursor), claimed)
            && claimed > last.position()
        {
            last = Cursor::of(claimed, EventId::from_bytes([0; 16]));
        }
    }
}

/// Takes all waiting hints.
fn clear(shared: &Shared, listener: &mut Option<Listener>) {
    while shared.nudge.notified().now_or_never().is_some() {}
    if let Some(hints) = listener {
        while hints.next().now_or_never().flatten().is_some() {}
    }
}

async fn read(shared: &Shared, last: &mut Cursor) {
    loop {
        let read = Read::log().with_limit(shared.options.page).live();
        // A forged cursor belongs to no event.
        let is_forged = shared.is(HubBug::UsesTheHintAsACursor);
        let read =
            if is_forged { read.with_after(last.position()) } else { read.with_after(*last) };
        let page = match shared.store.read_log(read).await {
            Ok(page) => page,
            Err(error) if error.is_other_history() => match shared.store.head().await {
                Ok(head) if !is_forged => {
                    *last = head;
                    return shared.begin_again(head);
                }
                _ => return,
            },
            Err(_) => {
                sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        *last = page.scanned;
        shared.extend(page.events, page.scanned).await;
        if !page.more || shared.is(HubBug::ReadsOnePageAHint) {
            return;
        }
    }
}

/// Adds a commit to the ring if it follows the ring's end. Returns `false` if
/// the log has to be read.
async fn follow(shared: &Shared, last: &mut Cursor, commit: &Commit) -> bool {
    let is_last = |cursor: Cursor| match shared.bug {
        Some(HubBug::ComparesPositionsAlone) => cursor.position() == last.position(),
        _ => cursor == *last,
    };
    let ends_with_last = commit.events.iter().position(|event| is_last(event.cursor()));
    let known = match ends_with_last {
        _ if is_last(commit.from) || shared.is(HubBug::RepeatsWhatItHasRead) => 0,
        Some(at) => at + 1,
        None => return commit.events.last().is_some_and(|event| shared.holds(event.cursor())),
    };
    let new: Vec<Event> = commit.events[known..].to_vec();
    if let Some(newest) = new.last() {
        *last = newest.cursor();
        shared.extend(new, *last).await;
    }
    true
}

/// Takes commit notices until the log has to be read.
async fn until_a_read_is_needed(shared: &Shared, commits: &mut Option<Commits>, last: &mut Cursor) {
    while let Some(notices) = commits {
        match notices.next().await {
            Some(CommitNotice::Committed(commit)) if follow(shared, last, &commit).await => {}
            Some(_) => return,
            None => *commits = None,
        }
    }
    std::future::pending::<()>().await;
}

async fn wait(
    shared: &Shared,
    listener: &mut Option<Listener>,
    commits: &mut Option<Commits>,
    last: &mut Cursor,
) -> Option<Hint> {
    let next = async {
        match listener {
            Some(hints) => hints.next().await,
            None => std::future::pending().await,
        }
    };
    let polling = async {
        if shared.is(HubBug::NeverPolls) {
            std::future::pending::<()>().await;
        } else {
            sleep(shared.options.poll_interval).await;
        }
    };
    tokio::select! {
        () = shared.nudge.notified() => None,
        () = polling => None,
        () = until_a_read_is_needed(shared, commits, last) => None,
        hint = next => {
            if hint.is_none() {
                *listener = None;
                // A bus that ends its listeners is tried again later.
                sleep(std::time::Duration::from_millis(10)).await;
            }
            hint
        }
    }
}
