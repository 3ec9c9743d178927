use std::collections::BTreeMap;

use downlink::{Event, EventType};

use super::peer::Peer;
use super::peer_command::PeerCommand;
use super::setup::CrossProcessSetup;
use crate::sample::{log, stream, stream_of};

/// The stream for which both race, and the one to which both append whatever
/// its version.
const CONTESTED: &str = "flight-UA1545";
const SHARED: &str = "flight-AA1141";

/// **Law.** For every version of a stream exactly one process wins. Batches are
/// whole and do not interleave, versions have no gaps, and the log passes
/// verification.
pub async fn one_process_wins_each_version(setup: &CrossProcessSetup) {
    let shared = setup.share().await;
    let (mut here, mut there) = (shared.here().await, shared.there());
    // Both processes have the log open before the race begins.
    for peer in [&mut here, &mut there] {
        run(peer, PeerCommand::Count { stream: CONTESTED.to_owned() }).await;
    }
    let race = || PeerCommand::Race { stream: CONTESTED.to_owned(), until: 400 };
    let (left, right) = tokio::join!(run(&mut here, race()), run(&mut there, race()));
    let won = acknowledged([left, right]);
    let batches = || PeerCommand::Batches { stream: SHARED.to_owned(), count: 100 };
    let (left, right) = tokio::join!(run(&mut here, batches()), run(&mut there, batches()));
    let stored = acknowledged([left, right]);
    assert_eq!(stored.len(), 200, "an append that expects nothing of a stream must not fail");

    let (store, _bus) = shared.open().await;
    for (name, acknowledged, batch) in [(CONTESTED, won, 2), (SHARED, stored, 3)] {
        let events = stream_of(&*store, &stream(name)).await;
        whole_and_dense(&events, &acknowledged, batch);
    }
    not_interleaved(&log(&*store).await);
    drop((here, there));
    shared.verify().await;
}

async fn run(peer: &mut Peer, order: PeerCommand) -> Vec<String> {
    let who = peer.description();
    peer.send(order).await.unwrap_or_else(|error| panic!("{who} got the error `{error}` in a race"))
}

/// The batch that was acknowledged for each version.
fn acknowledged(told: [Vec<String>; 2]) -> BTreeMap<u64, String> {
    let mut acknowledged = BTreeMap::new();
    for batch in told.into_iter().flatten() {
        let (label, version) = batch.split_once('@').expect("a label and a version");
        let version = version.parse().expect("a version");
        if let Some(other) = acknowledged.insert(version, label.to_owned()) {
            panic!(
                "two processes won version {version}, {other} and {label}: check and insert are \
                 not one transaction for both"
            );
        }
    }
    acknowledged
}

/// Checks that each batch is where it was acknowledged, and that there is
/// nothing else.
fn whole_and_dense(events: &[Event], acknowledged: &BTreeMap<u64, String>, batch: usize) {
    let found: Vec<_> = events.iter().map(|event| event.version().get()).collect();
    let dense: Vec<_> = (1..).take(events.len()).collect();
    assert_eq!(found, dense, "versions have gaps or repeat when two processes append");
    let found: Vec<_> = events.iter().map(Event::event_type).map(EventType::as_str).collect();
    let wanted: Vec<_> = acknowledged
        .values()
        .flat_map(|label| std::iter::repeat_n(label.as_str(), batch))
        .collect();
    assert_eq!(found, wanted, "the stream does not have exactly the acknowledged batches");
}

fn not_interleaved(log: &[Event]) {
    let mut seen = Vec::new();
    for run in log.chunk_by(|left, right| left.event_type() == right.event_type()) {
        let label = run[0].event_type();
        assert!(
            !seen.contains(&label),
            "batches of two processes interleave: {label} is in two parts"
        );
        seen.push(label);
    }
}
