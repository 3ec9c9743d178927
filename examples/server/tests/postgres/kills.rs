//! Servers, PostgreSQL and NATS are killed under load. Clients outside keep an account of what was
//! acknowledged and what was delivered: nothing is lost, and nothing comes twice.
//!
//! `DOWNLINK_KILLS` is the number of kills of servers; PostgreSQL crashes a tenth as often.

use std::collections::HashMap;

use rand::Rng;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::appender::{Appender, LAST};
use crate::cluster::{Bus, Cluster};
use crate::follower::{Delivered, Follower};
use crate::process::DEADLINE;
use crate::server::Crash;

const SERVERS: usize = 3;
const APPENDERS: usize = 12;

/// The most appends that are acknowledged between two kills.
const APPENDS: usize = 200;

/// The kills of a short run.
const KILLS: usize = 5;
const CRASHES: usize = 2;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn kills_lose_nothing_over_postgres() {
    kill_all(Bus::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and NATS: ./check postgres"]
async fn kills_lose_nothing_over_nats() {
    kill_all(Bus::Nats).await;
}

async fn kill_all(bus: Bus) {
    let chosen = std::env::var("DOWNLINK_KILLS").ok();
    let kills = chosen.map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let crashes = CRASHES.max(kills / 10);
    let mut cluster = block_in_place(|| Cluster::start(bus, SERVERS));
    let servers = cluster.authorities();
    let (stop, count) = (CancellationToken::new(), watch::Sender::new(0));
    let mut appenders = JoinSet::new();
    for number in 0..APPENDERS {
        let appender = Appender::new(&servers, number);
        appenders.spawn(appender.run(stop.clone(), count.clone()));
    }
    let mut followers = JoinSet::new();
    for number in 0..SERVERS {
        followers.spawn(Follower::new(&servers).run(number));
    }

    for kill in 0..kills {
        some_appends(&count).await;
        block_in_place(|| cluster.kill(rand::rng().random_range(0..SERVERS)));
        // How many crashes belong to the kills so far.
        for crash in kill * crashes / kills..(kill + 1) * crashes / kills {
            some_appends(&count).await;
            let how = if crash % 2 == 0 { Crash::Immediate } else { Crash::Kill };
            block_in_place(|| cluster.crash_postgres(how));
            if bus == Bus::Nats {
                some_appends(&count).await;
                block_in_place(|| cluster.kill_nats());
            }
        }
    }

    some_appends(&count).await;
    stop.cancel();
    let appenders = appenders.join_all().await;
    let mut last = Appender::new(&servers, APPENDERS);
    last.append(LAST).await;
    let followers = timeout(DEADLINE, followers.join_all()).await;
    let followers = followers.expect("a follower misses the last event");
    let acknowledged: usize = appenders.iter().map(|client| client.acknowledged.len()).sum();
    let failures: usize = appenders.iter().map(|client| client.failures).sum();
    let resumed: usize = followers.iter().map(|client| client.resumed).sum();
    for follower in &followers {
        compare(&appenders, &follower.delivered);
        assert_eq!(follower.delivered, followers[0].delivered, "two followers got different logs");
    }
    println!(
        "{bus:?}: {kills} kills of servers, {crashes} of PostgreSQL: {acknowledged} acknowledged, \
         {failures} attempts failed, {SERVERS} followers resumed {resumed} times: 0 lost, 0 repeated"
    );
}

/// Waits until some more appends were acknowledged.
async fn some_appends(count: &watch::Sender<usize>) {
    let more = *count.borrow() + rand::rng().random_range(APPENDS / 10..=APPENDS);
    let mut changes = count.subscribe();
    let enough = changes.wait_for(|count| *count >= more);
    timeout(DEADLINE, enough).await.expect("appends stopped after a kill").expect("a sender");
}

/// Compares what was acknowledged with what was delivered.
fn compare(appenders: &[Appender], delivered: &[Delivered]) {
    assert!(
        delivered.windows(2).all(|pair| pair[0].cursor < pair[1].cursor),
        "an event came twice, or not in the order of the log"
    );
    let mut streams: HashMap<&str, Vec<&Delivered>> = HashMap::new();
    for event in delivered {
        streams.entry(&event.stream).or_default().push(event);
    }
    for Appender { stream, acknowledged, .. } in appenders {
        let came = streams.remove(&**stream).unwrap_or_default();
        let ids: Vec<_> = came.iter().map(|event| &event.id).collect();
        assert_eq!(ids, acknowledged.iter().collect::<Vec<_>>(), "{stream} is not what was stored");
        let versions = came.iter().map(|event| event.version);
        assert!(versions.zip(1..).all(|(version, place)| version == place), "a version is missing");
    }
    assert_eq!(streams.len(), 1, "events came that no client has appended");
}
