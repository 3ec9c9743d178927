use downlink::{ErrorKind, Event, Expected};

use super::log_user::{APPENDERS, EVENTS};
use super::peer::Peer;
use super::peer_command::PeerCommand;
use super::setup::CrossProcessSetup;
use crate::sample::{append, log};
use crate::tasks;

/// Appends of each process.
const APPENDS: usize = 600;

/// How many times longer than its usual wait the longest wait of a process may
/// be.
const WAIT_RATIO: usize = 50;

/// **Law.** Of two processes that append without a pause, each gets at least a
/// quarter of the transactions, neither waits for more than 50 times as many
/// appends of the other as usual, and neither gets an error about a lock.
///
/// Turns are counted in the order of the log, so a slow machine changes
/// nothing.
pub async fn processes_take_turns(setup: &CrossProcessSetup) {
    let shared = setup.share().await;
    let (mut here, mut there) = (shared.here().await, shared.there());
    // Both processes have the log open before either begins.
    run(&mut there, PeerCommand::Count { stream: "here-0".to_owned() }).await;
    let saturate = || PeerCommand::Saturate { count: APPENDS };
    tokio::join!(run(&mut here, saturate()), run(&mut there, saturate()));
    tokio::join!(
        run(&mut here, PeerCommand::StopSaturating),
        run(&mut there, PeerCommand::StopSaturating)
    );
    let (store, _bus) = shared.open().await;
    let contested = contested(&log(&*store).await);
    for (is_here, other) in [(true, "the other process"), (false, "the process of the law")] {
        let waits = waits(&contested, is_here);
        assert!(
            waits.len() * 4 >= contested.len(),
            "the processes do not take turns: of {} appends {other} got all but {}; give a free \
             lock to the process that has waited longest, not to the next that asks",
            contested.len(),
            waits.len()
        );
        // One transaction of the other process may contain this many appends, so fewer are no wait.
        let usual = waits[waits.len() / 2].max(APPENDERS);
        let longest = waits[waits.len() - 1];
        assert!(
            longest <= WAIT_RATIO * usual,
            "the processes do not take turns: one waited for {longest} appends of {other} in a \
             row, and usually for {usual}"
        );
    }
}

/// How many appends of the other process came directly before each append of
/// this one, sorted.
fn waits(contested: &[bool], of: bool) -> Vec<usize> {
    let (mut waits, mut waited) = (Vec::new(), 0);
    for is_here in contested {
        waited += 1;
        if *is_here == of {
            waits.push(waited - 1);
            waited = 0;
        }
    }
    waits.sort_unstable();
    waits
}

async fn run(peer: &mut Peer, order: PeerCommand) {
    let who = peer.description();
    if let Err(error) = peer.send(order).await {
        panic!(
            "the processes do not take turns: {who} got the error `{error}` while both only \
             appended"
        );
    }
}

/// Which process made each append while both were appending: from the first
/// append of the process that began later to the last append of the one that
/// ended first.
fn contested(log: &[Event]) -> Vec<bool> {
    let mut appends: Vec<_> =
        log.chunks(EVENTS).map(|append| append[0].stream().as_str().starts_with("here")).collect();
    let first = |process| appends.iter().position(|is_here| *is_here == process);
    let both = first(true).max(first(false)).expect("both have appended");
    appends.drain(..both);
    let last = |process| appends.iter().rposition(|is_here| *is_here == process);
    let end = last(true).min(last(false)).expect("both have appended");
    appends.truncate(end + 1);
    appends
}

/// **Law.** If another program, one that knows nothing of taking turns, holds
/// the log's lock past the deadline, an append fails with `Busy`. Nothing of it
/// is stored, and a later repeat stores it.
pub async fn a_lock_held_past_the_deadline_is_busy(setup: &CrossProcessSetup) {
    let (store, lock) = setup.fixture().open_with_short_timeout().await.expect("an empty log");
    lock.hold().await.expect("the lock");
    let offered = append("flight-UA1545", Expected::NoStream, 2);
    let outcome = tasks::soon(
        "an append waits forever for a lock that another program holds",
        store.append(offered.clone()),
    );
    match outcome.await {
        Ok(_) => panic!("an append was acknowledged while another program held the lock"),
        Err(error) => assert_eq!(
            error.kind(),
            ErrorKind::Busy,
            "a lock that is held past the deadline has to be `Busy`, and this is `{error}`"
        ),
    }
    assert!(log(&*store).await.is_empty(), "an append that failed with `Busy` was stored");
    lock.release().await.expect("the lock to be free");
    let appended = store.append(offered).await.expect("an append when the lock is free");
    assert!(!appended.duplicate, "an append that failed with `Busy` was stored");
}
