use std::collections::BTreeMap;

use downlink::{Event, EventType};

use super::peer::Peer;
use super::peer_command::PeerCommand;
use super::setup::CrossProcessSetup;
use crate::sample::{log, stream, stream_of};

/// The stream that both race for, and the one to which both append whatever
/// its version.
const CONTESTED: &str = "flight-UA1545";
const SHARED: &str = "flight-AA1141";

/// **Law.** For every version of a stream exactly one process wins. Batches are
/// whole and do not interleave, versions have no gaps, and the log passes
/// verification.
pub async fn one_process_wins_each_version(setup: &CrossProcessSetup) {
    let shared = setup.share().await;
    let (mut here, mut there) = (shared.here().await, shared.there());
    // Both have the log open before the race begins.
    for peer in [&mut here, &mut there] {
        said(peer, PeerCommand::Count { stream: CONTESTED.to_owned() }).await;
    }
    let race = || PeerCommand::Race { stream: CONTESTED.to_owned(), until: 400 };
    let (left, right) = tokio::join!(said(&mut here, race()), said(&mut there, race()));
    let won = acknowledged([left, right]);
    let batches = || PeerCommand::Batches { stream: SHARED.to_owned(), count: 100 };
    let (left, right) = tokio::join!(said(&mut here, batches()), said(&mut there, batches()));
    let stored = acknowledged([left, right]);
    assert_eq!(stored.len(), 200, "an append that expects nothing of a stream cannot lose");

    let (store, _bus) = shared.open().await;
    for (name, acknowledged, batch) in [(CONTESTED, won, 2), (SHARED, stored, 3)] {
        let events = stream_of(&*store, &stream(name)).await;
        whole_and_dense(&events, &acknowledged, batch);
    }
    not_interleaved(&log(&*store).await);
    drop((here, there));
    shared.verify().await;
}

async fn said(peer: &mut Peer, order: PeerCommand) -> Vec<String> {
    let who = peer.who();
    peer.tell(order).await.unwrap_or_else(|said| panic!("{who} was told `{said}` in a race"))
}

/// The batch that was acknowledged at each version.
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

/// Each batch is where it was acknowledged, and there is nothing else.
fn whole_and_dense(events: &[Event], acknowledged: &BTreeMap<u64, String>, batch: usize) {
    let found: Vec<_> = events.iter().map(|event| event.version().get()).collect();
    let dense: Vec<_> = (1..).take(events.len()).collect();
    assert_eq!(found, dense, "versions have holes or come twice when two processes append");
    let found: Vec<_> = events.iter().map(Event::event_type).map(EventType::as_str).collect();
    let wanted: Vec<_> = acknowledged
        .values()
        .flat_map(|label| std::iter::repeat_n(label.as_str(), batch))
        .collect();
    assert_eq!(found, wanted, "the stream has other batches than those that were acknowledged");
}

fn not_interleaved(log: &[Event]) {
    let mut seen = Vec::new();
    for run in log.chunk_by(|left, right| left.event_type() == right.event_type()) {
        let label = run[0].event_type();
        assert!(!seen.contains(&label), "batches of two processes interleave: {label} comes twice");
        seen.push(label);
    }
}
