use std::fmt;
use std::sync::Arc;

use downlink::{EventStore, Expected, Item, LocalBus};

use super::setup::{Environment, Follower};
use super::{DownlinkHubs, HubFixture, HubOptions};
use crate::faults::{BusFault, FaultyBus, FaultyStore};
use crate::fixture::{Backups, Guard, ReplaceableFixture};
use crate::sample::append;
use crate::tasks;

/// A store whose log can be restored from a backup, and hubs over it.
pub struct ReplaceableSubscriptionSetup {
    store: Arc<dyn ReplaceableFixture>,
    hubs: Arc<dyn HubFixture>,
    is_told: bool,
}

impl fmt::Debug for ReplaceableSubscriptionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaceableSubscriptionSetup")
    }
}

impl ReplaceableSubscriptionSetup {
    /// Tests hubs of this workspace over this store.
    #[must_use]
    pub fn new(store: impl ReplaceableFixture) -> Self {
        Self::with_hubs(store, DownlinkHubs)
    }

    /// Tests other hubs, such as broken ones.
    #[must_use]
    pub fn with_hubs(store: impl ReplaceableFixture, hubs: impl HubFixture) -> Self {
        Self { store: Arc::new(store), hubs: Arc::new(hubs), is_told: false }
    }

    /// Lets hubs take the commit notices of the store, instead of reading the
    /// log after each append.
    #[must_use]
    pub fn with_commits(self) -> Self {
        Self { is_told: true, ..self }
    }

    async fn open(&self) -> (Environment, Box<dyn Backups>) {
        let (store, backups) = self.store.open().await.expect("a fresh store");
        let store = FaultyStore::new(store);
        let store = if self.is_told { store.with_commits() } else { store };
        let bus = FaultyBus::new(Arc::new(LocalBus::new()), BusFault::None);
        (Environment::new((store, Guard::none()), bus, &self.hubs), backups)
    }
}

/// **Law.** A commit notice of a restored log is not appended to the events of
/// the old log, even if its positions fit: subscriptions end with an error that
/// says that the log is another one.
pub async fn a_commit_of_another_history_is_not_delivered(setup: &ReplaceableSubscriptionSetup) {
    // One commit that spans the old tip, and one that begins exactly there.
    for appends in [&[4][..], &[2, 1]] {
        let (env, backups) = setup.open().await;
        let hub = env.hub(HubOptions::without_polling()).await;
        let mut follower = Follower::from_start(&hub).await;
        follower.until_live().await;
        let offer = |events| append("flight-UA1545", Expected::Any, events);
        hub.append(offer(3)).await.expect("an append");
        backups.back_up().await.expect("a copy");
        hub.append(offer(2)).await.expect("an append");
        follower.until(5, "the log was not delivered").await;
        backups.restore().await.expect("the copy restored");
        for events in appends {
            hub.append(offer(*events)).await.expect("an append");
        }
        until_reported(&mut follower).await;
        let mut fresh = Follower::from_start(&hub).await;
        let what = "a new subscription does not follow the restored log";
        fresh.until_all_of(&env.log().await, what).await;
    }
}

async fn until_reported(follower: &mut Follower) {
    let what = "a subscription did not report that its log was replaced, although the restored log \
                was appended to";
    let reported = async {
        loop {
            match follower.subscription().next().await {
                Some(Ok(Item::Event(event))) => panic!(
                    "the event at {} of the restored log was delivered after events of the old \
                     one: compare `from` with the tip by position and check",
                    event.position()
                ),
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("a subscription ended without an error that its log was replaced"),
            }
        }
    };
    let error = tasks::soon(what, reported).await;
    assert!(
        error.is_other_history(),
        "the error has to say that the log is another one, and is `{error}`"
    );
}

/// **Law.** What one subscription has read above the tip is not served to
/// another one: if the log is restored to before that point, the tail does not
/// notice.
pub async fn no_page_of_another_history_is_served(setup: &ReplaceableSubscriptionSetup) {
    let (env, backups) = setup.open().await;
    let offer = |events| append("flight-UA1545", Expected::Any, events);
    env.store.append(offer(10)).await.expect("an append");
    let options =
        HubOptions { ring: 4, page: 50, keeps_pages: true, ..HubOptions::without_polling() };
    let hub = env.hub(options).await;
    backups.back_up().await.expect("a copy");
    env.hold_the_tail().await;
    env.store.append(offer(4)).await.expect("an append");
    let mut early = Follower::from_start(&hub).await;
    early.until(14, "a subscription that reads from the store waits for the tail").await;
    backups.restore().await.expect("the copy restored");
    env.store.append(offer(6)).await.expect("an append");
    env.store.before_tail_read().release();
    let log = env.log().await;
    let mut late = Follower::from_start(&hub).await;
    while late.seen.len() < log.len() {
        late.next("a subscription did not get the whole log").await;
        let ghost = late.seen.iter().find(|event| !log.contains(event));
        assert!(
            ghost.is_none(),
            "a subscription got an event of a log that had been replaced before it was opened: \
             keep no pages above the tip of the tail ({ghost:?})"
        );
    }
    late.verify(&log);
}
