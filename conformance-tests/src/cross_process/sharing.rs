use std::sync::Arc;

use downlink::{EventStore, Expected, Hub, Item, Position, Subscribe, Subscription, Version};

use super::log_user::NEVER;
use super::peer::Peer;
use super::peer_command::PeerCommand;
use super::setup::{CrossProcessSetup, Shared};
use crate::sample::{append, log, stream, stream_of};
use crate::tasks;

const STREAM: &str = "flight-UA1545";

/// **Law.** A second handle or another process that has the log open sees what
/// is appended, may append, and is seen.
///
/// What a handle has cached of a stream is valid only until someone else
/// appends.
pub async fn processes_share_one_log(setup: &CrossProcessSetup) {
    for in_another_process in [false, true] {
        let shared = setup.share().await;
        let peer = if in_another_process { shared.there() } else { shared.here().await };
        take_turns(&shared, peer).await;
        shared.verify().await;
    }
}

async fn take_turns(shared: &Shared<'_>, mut peer: Peer) {
    let who = peer.description();
    let (store, _bus) = shared.open().await;
    let mut at = None;
    for _ in 0..5 {
        let appended = store.append(append(STREAM, Expected::at(at), 2)).await;
        let appended = appended.unwrap_or_else(|error| {
            panic!(
                "an append at the version that {who} left was refused (`{error}`): a cached \
                 version is valid only until someone else appends"
            )
        });
        at = Some(appended.writes[0].last);
        let count = PeerCommand::Count { stream: STREAM.to_owned() };
        let seen =
            peer.send(count).await.unwrap_or_else(|said| panic!("{who} cannot read: {said}"));
        assert_eq!(seen, [number(at)], "{who} does not see what was acknowledged here");

        let answer = peer.send(PeerCommand::append(STREAM, at, 1)).await;
        let answer = answer.unwrap_or_else(|said| {
            panic!(
                "{who} was refused (`{said}`) at the version that it had just read: a cached \
                 version is valid only until someone else appends"
            )
        });
        at = at.map(Version::next);
        assert_eq!(
            answer,
            [number(at)],
            "{who} assigns versions that do not follow the previous ones"
        );
        let seen = stream_of(&*store, &stream(STREAM)).await.len();
        assert_eq!(seen.to_string(), number(at), "what was acknowledged to {who} is not seen here");
    }
}

fn number(version: Option<Version>) -> String {
    version.map_or(0, Version::get).to_string()
}

/// **Law.** A commit of another process, or of a second handle, wakes every
/// process that follows the log. Otherwise a subscription reads only at its
/// poll interval, which is an hour here.
pub async fn other_processes_are_woken(setup: &CrossProcessSetup) {
    let shared = setup.share().await;
    let mut peers = [shared.here().await, shared.there()];
    for peer in &mut peers {
        let who = peer.description();
        let live = peer.send(PeerCommand::Follow).await;
        live.unwrap_or_else(|said| panic!("{who} cannot follow: {said}"));
    }
    let mut last = None;
    for turn in 0..6 {
        let appended = peers[turn % 2].send(PeerCommand::append(STREAM, last, 1)).await;
        let appended = appended.unwrap_or_else(|said| panic!("an append failed: {said}"));
        last = Version::new(appended[0].parse().expect("a version"));
        for peer in &mut peers {
            let who = peer.description();
            let what = format!("{who} was not woken by an append of another user of the log");
            let next = tasks::soon(what, peer.send(PeerCommand::Next)).await;
            let next = next.unwrap_or_else(|said| panic!("{who} cannot follow: {said}"));
            let position = next[0].parse().ok().and_then(Position::new);
            assert!(position.is_some(), "the subscription of {who} ended");
        }
    }
}

/// **Law.** Two hubs of this process, each over its own store on one log,
/// deliver the same events, through whichever of them an append is made: a
/// store's commit notices account for the commits of others.
pub async fn two_stores_of_one_log_agree(setup: &CrossProcessSetup) {
    let shared = setup.share().await;
    let mut sides = Vec::new();
    for (store, bus) in shared.open_both_ways().await {
        let hub = Hub::builder(Arc::clone(&store), bus).with_poll_interval(NEVER).start().await;
        let hub = hub.expect("a hub");
        let subscription = hub.subscribe(Subscribe::new()).await.expect("a subscription");
        sides.push((store, hub, subscription));
    }
    for round in 0..3 {
        let writers = (0..4).map(|writer| {
            let (hub, name) = (sides[writer % 2].1.clone(), format!("flight-{round}-{writer}"));
            tokio::spawn(async move {
                for turn in 0..12 {
                    let offered = append(&name, Expected::Any, 1 + turn % 3);
                    hub.append(offered).await.expect("an append");
                    tokio::task::yield_now().await;
                }
            })
        });
        tasks::join(writers.collect::<Vec<_>>()).await;
        for (store, _, subscription) in &mut sides {
            deliver_the_rest(&**store, subscription).await;
        }
    }
    shared.verify().await;
}

/// Takes what a subscription has not delivered yet, and compares it with the
/// log.
async fn deliver_the_rest(store: &dyn EventStore, subscription: &mut Subscription) {
    let delivered = subscription.cursor().position();
    for wanted in log(store).await.into_iter().filter(|event| event.position() > delivered) {
        let next = async {
            loop {
                match subscription.next().await.transpose().expect("an open subscription") {
                    Some(Item::Event(event)) => return event,
                    Some(_) => {}
                    None => panic!("a subscription ended by itself"),
                }
            }
        };
        let what = "an event that was appended through another store of the same log was not \
                    delivered";
        let event = tasks::soon(what, next).await;
        assert!(
            event == wanted,
            "of two hubs over two stores of one log, one delivered the event at {} where the log \
             has the one at {}: take `from` of a notice from the end of the log inside the \
             transaction, not from the end of the store's own commits",
            event.position(),
            wanted.position()
        );
    }
}
