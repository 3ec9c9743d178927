use std::sync::Arc;
use std::time::Duration;

use downlink::{Append, Cursor, Expected, Filter, FilterItem, Item, NewEvent, Result, StreamId};
use futures::FutureExt;
use tokio::task::yield_now;

use super::setup::Follower;
use super::{HubOptions, HubUnderTest, SubscriptionSetup};
use crate::faults::BusFault;
use crate::sample::{append, event, of_type, stream, tagged};

fn item(item: Result<FilterItem>) -> FilterItem {
    item.expect("a filter within the limits")
}

/// Filters of every kind, and combinations of them.
fn filters() -> Vec<Filter> {
    let new = FilterItem::new;
    let one = || item(new().with_stream("flight-UA1545"));
    let prefixes = ["f", "flight-", "flight-UA", "flight-UA1545", "gate-\u{e9}"];
    let by_prefix = prefixes.map(|prefix| item(new().with_stream_prefix(prefix)).into());
    let types = ["FlightD", "FlightDelayed"].map(|prefix| item(new().with_type_prefix(prefix)));
    let either = [item(new().with_type("GateChanged")), one()];
    let both = Filter::from(one()).and(&of_type("FlightDelayed")).expect("two queries");
    let tags = item(item(new().with_tag("airport:EWR")).with_tag("airport:IAH"));
    let others = [
        Filter::everything(),
        one().into(),
        of_type("FlightDelayed"),
        tagged("airport:EWR"),
        tags.into(),
        item(new().without_type("FlightDelayed")).into(),
        item(types[0].clone().without_type("FlightDelayed")).into(),
        item(types[1].clone().with_stream_prefix("gate-")).into(),
        Filter::any_of(either).expect("two items"),
        both,
        Filter::nothing(),
    ];
    others.into_iter().chain(by_prefix).chain(types.map(Filter::from)).collect()
}

/// Events that differ in everything that a filter can ask for.
fn events() -> Vec<(StreamId, NewEvent)> {
    let streams = ["flight-UA1545", "flight-UA1", "flight-B6", "gate-\u{e9}1", "gate-C71", "f"];
    let types = ["FlightDelayed", "FlightDeparted", "GateChanged"];
    let tags = [&[][..], &["airport:EWR"], &["airport:EWR", "airport:IAH"]];
    let all = streams.iter().flat_map(|name| types.iter().map(move |kind| (*name, *kind)));
    let events = all.enumerate().map(|(n, (name, kind))| {
        let event = event(kind).with_tags(tags[n % 3].iter().copied());
        (stream(name), event.expect("valid tags"))
    });
    events.collect()
}

async fn live(hub: &Arc<dyn HubUnderTest>, filter: Filter) -> Follower {
    let mut follower = Follower::begin(hub, Cursor::START, filter).await;
    follower.until_live().await;
    follower
}

/// **Law.** A subscription that waits is woken by every event that matches its filter,
/// whatever the filter asks for, and gets all of them.
pub async fn what_matches_wakes_those_that_wait(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let hub = env.hub(HubOptions::without_polling()).await;
    let mut followers = Vec::new();
    for filter in filters() {
        followers.push(live(&hub, filter).await);
    }
    let what = "an event that matches did not wake a subscription: if those are looked up that want \
                an event, consider every kind of filter";
    for (stream, event) in events() {
        let mut waiting = Vec::new();
        for follower in &mut followers {
            let matches = follower.filter().matches(&stream, &event);
            let mut next = Box::pin(follower.next(what));
            let item = (&mut next).now_or_never();
            assert!(item.is_none(), "a subscription that has everything does not wait: {item:?}");
            waiting.push((matches, next));
        }
        let append = Append::to(stream, Expected::Any, [event]).expect("a valid append");
        hub.append(append).await.expect("an append");
        for (matches, next) in waiting {
            if matches {
                next.await;
            }
        }
        let log = env.log().await;
        for follower in &followers {
            follower.verify(&log);
        }
    }
    let log = env.log().await;
    for follower in &mut followers {
        follower.until_all_of(&log, what).await;
    }
}

/// **Law.** An event that is appended at the moment at which a subscription begins to
/// wait wakes it.
pub async fn what_comes_when_a_subscription_begins_to_wait_wakes_it(setup: &SubscriptionSetup) {
    const EVENTS: usize = 200;
    let env = setup.open(BusFault::None).await;
    let options = HubOptions { ring: 2 * EVENTS, ..HubOptions::without_polling() };
    let hub = env.hub(options).await;
    let mut readers = Vec::new();
    for filter in [Filter::everything(), of_type("FlightDelayed"), tagged("airport:EWR")] {
        let mut follower = live(&hub, filter).await;
        readers.push(tokio::spawn(async move {
            let what = "an event that came when a subscription began to wait did not wake it: look \
                        for events once more in the step in which it begins to wait";
            follower.until(EVENTS, what).await;
            follower
        }));
    }
    for n in 0..EVENTS {
        let delayed: NewEvent = event("FlightDelayed").with_tags(["airport:EWR"]).expect("a tag");
        let append = Append::to("flight-UA1545", Expected::Any, [delayed]).expect("a valid name");
        hub.append(append).await.expect("an append");
        // Sometimes the readers wait by then, and sometimes they do not.
        for _ in 0..n % 7 {
            yield_now().await;
        }
    }
    let log = env.log().await;
    for reader in readers {
        reader.await.expect("a reader that got everything").verify(&log);
    }
}

/// **Law.** A checkpoint of a live subscription does not pass over an event that it has
/// not delivered, however often checkpoints are due.
pub async fn a_checkpoint_does_not_overtake_an_event(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let checkpoint_interval = Duration::from_millis(1);
    let options = HubOptions { ring: 1_000, checkpoint_interval, ..HubOptions::without_polling() };
    let hub = env.hub(options).await;
    let mut rare = live(&hub, of_type("FlightDiverted")).await;
    let mut idle = live(&hub, of_type("Never")).await;
    for round in 0..40 {
        let appending = async {
            // Several ticks come while the subscription waits, and one at about the same time.
            tokio::time::sleep(Duration::from_millis(round % 5)).await;
            hub.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
            let diverted = Append::to("flight-B6", Expected::Any, [event("FlightDiverted")]);
            hub.append(diverted.expect("a valid name")).await.expect("an append");
        };
        let what = "an event that matches did not come: a checkpoint must not pass over events that \
                    were not examined";
        let wanted = rare.seen.len() + 1;
        tokio::join!(rare.until(wanted, what), appending);
        rare.verify(&env.log().await);
    }
    hub.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
    let log = env.log().await;
    let end = log.last().expect("an event").cursor();
    for follower in [&mut rare, &mut idle] {
        let what = "a live subscription to which nothing matches did not get a checkpoint";
        while follower.cursor() != end {
            let item = follower.next(what).await;
            assert!(matches!(item, Item::Checkpoint(_)), "{item:?} instead of a checkpoint");
        }
        follower.verify(&log);
    }
}
