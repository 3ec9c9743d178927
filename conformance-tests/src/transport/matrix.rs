use std::sync::Arc;

use downlink::{Cursor, Expected, Filter, NewEvent};
use tokio::sync::Barrier;

use super::TransportSetup;
use super::setup::expect_same;
use crate::sample::append;
use crate::tasks;

/// **Law.** Of racing appends that expect the same version exactly one
/// succeeds. Clients get the events of the winners, in order, and no event of
/// the losers.
pub async fn one_writer_wins_and_is_seen(setup: &TransportSetup) {
    let served = setup.open(&[]).await;
    let mut client = served.follow(Cursor::START, Filter::everything()).await;
    client.until_live().await;
    let (mut at, mut winners) = (None, Vec::new());
    for round in 1..=8 {
        let start = Arc::new(Barrier::new(6));
        let racers = (0..6).map(|_| {
            let (hub, start) = (served.hub.clone(), Arc::clone(&start));
            let offered = append("flight-UA1545", Expected::at(at), 1);
            tokio::spawn(async move {
                start.wait().await;
                hub.append(offered.clone()).await.ok().map(|appended| (appended, offered))
            })
        });
        let won = tasks::join(racers.collect::<Vec<_>>()).await;
        let mut won: Vec<_> = won.into_iter().flatten().collect();
        assert!(
            won.len() == 1,
            "{} of six writers won one version: the version check is not atomic",
            won.len()
        );
        let (appended, offered) = won.remove(0);
        at = Some(appended.writes[0].last);
        winners.extend(offered.events().map(NewEvent::id));
        client.until(round, "the event of a winner was not delivered").await;
    }
    let delivered: Vec<_> = client.events().map(downlink::Event::id).collect();
    assert!(
        delivered == winners,
        "clients got {} events and {} writers won: an event of a loser was delivered, or the order \
         differs",
        delivered.len(),
        winners.len()
    );
    let all: Vec<_> = client.events().collect();
    expect_same(&all, &served.log().await, "the winners");
}
