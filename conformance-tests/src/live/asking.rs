use downlink::live::{Live, LiveError, LiveSubscription, Params, Token, Update, Watch};
use tokio::time::{Duration, sleep};

use super::LiveSetup;
use super::board::{answer, other, set};
use super::setup::append;
use crate::tasks;

/// The newest answer that a subscription has, as the text of its rows.
struct Latest {
    subscription: LiveSubscription,
    live: Live,
}

impl Latest {
    async fn of(live: &Live, watch: Watch) -> Result<Self, LiveError> {
        let subscription = tasks::soon("a live query is not answered", live.watch(watch)).await?;
        Ok(Self { subscription, live: live.clone() })
    }

    /// Waits for an update, and returns the rows after it.
    async fn next(&mut self, what: &str) -> (Token, Vec<String>) {
        loop {
            let next = tasks::soon(what, self.subscription.next()).await;
            match next.expect("a subscription that goes on") {
                Update::Result(answer) | Update::Checkpoint(answer) => {
                    let rows = answer.rows().iter();
                    let rows = rows.map(|row| String::from_utf8_lossy(&row.json).into_owned());
                    return (answer.token(), rows.collect());
                }
                // The whole answer, in place of the change.
                Update::Rows(_) => {
                    let watching = Self::of(&self.live, watch()).await;
                    self.subscription = watching.expect("an answer").subscription;
                }
                other => panic!("a live query failed: {other:?}"),
            }
        }
    }

    async fn until(&mut self, rows: &[String], what: &str) {
        tasks::soon(what, async { while self.next(what).await.1 != rows {} }).await;
    }
}

const NO_UPDATE: &str = "a live query has no update";

fn watch() -> Watch {
    Watch::new("board")
}

/// Another question with the same answer, which was not asked before.
fn cold() -> Watch {
    watch().with_params(Params::new().with("copy", "1"))
}

/// **Law.** After another version of the model has become the live one, the answer is that of
/// the new one, although no event comes.
pub async fn a_live_query_follows_a_new_version(setup: &LiveSetup) {
    let log = setup.open().await;
    let process = log.serve(&[1]).await;
    process.append("gate", set(1)).await;
    let mut here = Latest::of(&process.live, watch()).await.expect("an answer");
    let hub = log.hub().await;
    let elsewhere = log.live_elsewhere(&hub);
    let mut there = Latest::of(&elsewhere, watch()).await.expect("an answer");
    let first = answer(1, log.events().await.iter());
    for latest in [&mut here, &mut there] {
        latest.until(&first, "an answer is not the newest").await;
    }
    let second = log.project(&hub, 2);
    let live = tasks::soon("a version never becomes live", second.wait_live()).await;
    live.expect("a complete read model");
    let rows = answer(2, log.events().await.iter());
    for latest in [&mut here, &mut there] {
        latest.until(&rows, "a live query does not follow a new version of its model").await;
    }
    hub.shutdown().await;
    process.end().await;
}

/// **Law.** After a reset of the model, the last answer stays until the model has passed it,
/// and a query that has no answer is refused.
pub async fn a_model_that_is_rebuilt_is_not_shown(setup: &LiveSetup) {
    let log = setup.open().await;
    let process = log.serve(&[1]).await;
    for value in 0..20 {
        process.append("gate", set(value)).await;
    }
    let last = process.append("tower", set(7)).await;
    let model = process.handles.first().expect("a model");
    tasks::soon("a model does not catch up", model.wait_for(last)).await.expect("a model");
    // A process that does not build the model knows only what the store says.
    let hub = log.hub().await;
    let elsewhere = log.live_elsewhere(&hub);
    let mut warm = Latest::of(&elsewhere, watch().with_at_least(last)).await.expect("an answer");
    let before = answer(1, log.events().await.iter());
    warm.until(&before, "an answer is not the newest").await;
    model.pause().await.expect("a paused model");
    model.reset().await.expect("a reset model");
    append(&hub, "gate", set(99)).await;
    let refused = Latest::of(&elsewhere, cold()).await;
    assert!(
        matches!(refused, Err(LiveError::Rebuilding)),
        "a query was answered from a model that was reset and has not caught up with what it \
         contained: compare the checkpoint with what was announced"
    );
    sleep(Duration::from_millis(1_500)).await;
    if let Some(update) = warm.subscription.try_next() {
        panic!("after a reset of the model, the last answer did not stay: {update:?}");
    }
    model.resume().await.expect("a model that goes on");
    let rows = answer(1, log.events().await.iter());
    warm.until(&rows, "a live query does not follow a model that was built again").await;
    hub.shutdown().await;
    process.end().await;
}

/// **Law.** A query that asks for a cursor sees everything up to it.
pub async fn a_live_query_sees_earlier_writes(setup: &LiveSetup) {
    let log = setup.open().await;
    let process = log.serve(&[1]).await;
    let hub = log.hub().await;
    let elsewhere = log.live_elsewhere(&hub);
    let model = process.handles.first().expect("a model");
    for round in 0..6 {
        // The model is behind when the query is asked.
        model.pause().await.expect("a paused model");
        let event = if round % 3 == 2 { other() } else { set(round) };
        let at = append(&hub, "gate", event).await;
        let rows = answer(1, log.events().await.iter());
        for live in [&process.live, &elsewhere] {
            let asked = watch().with_at_least(at).with_wait(Duration::from_secs(20));
            let latest = Latest::of(live, asked);
            let (latest, ()) = tokio::join!(latest, async {
                sleep(Duration::from_millis(150)).await;
                model.resume().await.expect("a model that goes on");
            });
            let mut latest = latest.expect("an answer");
            let (token, seen) = latest.next(NO_UPDATE).await;
            assert!(
                token.cursor >= at && seen == rows,
                "a query that asked for {at} was answered as of {} with {seen:?} instead of \
                 {rows:?}: wait until the model contains the cursor",
                token.cursor
            );
        }
    }
    hub.shutdown().await;
    process.end().await;
}

/// **Law.** There is one evaluation for all who ask the same, and events that cannot change
/// the answer cause none.
pub async fn only_matching_events_cause_evaluations(setup: &LiveSetup) {
    let log = setup.open().await;
    let process = log.serve(&[1]).await;
    let at = process.append("gate", set(1)).await;
    let model = process.handles.first().expect("a model");
    tasks::soon("a model does not catch up", model.wait_for(at)).await.expect("a model");
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut latest = Latest::of(&process.live, watch()).await.expect("an answer");
        latest.next(NO_UPDATE).await;
        all.push(latest);
    }
    let before = log.evaluations();
    for _ in 0..20 {
        let at = process.append("gate", other()).await;
        tasks::soon("a model does not catch up", model.wait_for(at)).await.expect("a model");
    }
    // An evaluation would be made at once, or after the shortest pause.
    sleep(Duration::from_millis(500)).await;
    assert!(
        log.evaluations() == before,
        "{} evaluations were made for events that cannot change the answer",
        log.evaluations() - before
    );
    process.append("gate", set(2)).await;
    for latest in &mut all {
        latest.next(NO_UPDATE).await;
    }
    let after = log.evaluations() - before;
    assert!(
        (1..=3).contains(&after),
        "one event caused {after} evaluations for {} subscribers of one question",
        all.len()
    );
    process.end().await;
}
