use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::engine::Engine;
use super::key::{End, Key, KeyId};
use super::model_watch::{ModelProgress, ModelWatch};
use super::{Answer, Change, LiveError};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::hub::{After, Item, Subscribe, Subscription};
use crate::id::Position;
use crate::live::engine::{AnyQuery, Evaluation};
use crate::supervise::logged;

/// The shortest time between two evaluations.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// An evaluation may take a fifth of the time.
const PAUSE_FACTOR: u32 = 4;

/// The pause after a failed evaluation.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often subscribers learn that the rows are the same as of a later cursor.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a key without subscribers is kept, for clients that reconnect.
const LINGER: Duration = Duration::from_secs(30);

/// Keeps one evaluation up to date.
pub(super) struct KeyTask<Tx: ?Sized> {
    pub(super) engine: Arc<Engine<Tx>>,
    pub(super) query: Arc<dyn AnyQuery<Tx>>,
    pub(super) model: Arc<ModelWatch>,
    pub(super) id: Arc<KeyId>,
    pub(super) key: Arc<Key>,
    progress: watch::Receiver<ModelProgress>,
    generation: watch::Receiver<u64>,
    answer: Option<Arc<Answer>>,
    matched: Matched,
    /// Whether to evaluate although no event came.
    must: bool,
    not_before: Instant,
    /// When subscribers were notified last, and whether they have to be again.
    notified_at: Instant,
    has_checkpoint: bool,
    unused_since: Instant,
}

impl<Tx: ?Sized + Send + 'static> KeyTask<Tx> {
    pub(super) fn new(
        engine: Arc<Engine<Tx>>,
        query: Arc<dyn AnyQuery<Tx>>,
        model: Arc<ModelWatch>,
        id: Arc<KeyId>,
        key: Arc<Key>,
    ) -> Self {
        let (progress, generation) = (model.progress.subscribe(), model.generation.subscribe());
        model.is_needed.notify_one();
        let now = Instant::now();
        Self {
            engine,
            query,
            model,
            id,
            key,
            progress,
            generation,
            answer: None,
            matched: Matched::default(),
            must: true,
            not_before: now,
            notified_at: now,
            has_checkpoint: false,
            unused_since: now,
        }
    }

    /// Runs until the key has had no subscriber for a while.
    pub(super) async fn run(mut self) {
        let _ended =
            Ended { engine: Arc::clone(&self.engine), id: self.id.clone(), key: self.key.clone() };
        match self.subscribe().await {
            Ok(subscription) => {
                self.matched.add(subscription.cursor().position());
                if let Err(error) = self.follow(subscription).await {
                    self.failed_for_good(error).await;
                }
            }
            Err(error) => self.failed_for_good(error).await,
        }
    }

    async fn subscribe(&self) -> Result<Subscription> {
        let KeyId { scope, params, .. } = &*self.id;
        let filter = self.query.affected_by(scope, params)?;
        let subscribe = Subscribe::new().with_after(After::Now).with_filter(filter);
        self.engine.hub.clone().subscribe_matching(subscribe).await
    }

    /// Ends the key: with a reset if the log was replaced.
    async fn failed_for_good(&self, error: Error) {
        if error.is_other_history() {
            let hub = self.engine.hub.clone();
            let head = hub.clone().head().await.unwrap_or_else(|_| hub.cached_head());
            self.key.end(End::Reset { reason: error.kind(), head });
            return;
        }
        let query = &self.id.query;
        logged(|| warn!(query, %error, "a live query ended because the log cannot be read"));
        let failure = Some(Arc::new(LiveError::Store(error)));
        self.key.state.send_modify(|state| state.failure = failure);
    }

    async fn follow(&mut self, mut subscription: Subscription) -> Result<()> {
        loop {
            let asks = self.key.asks();
            if !self.is_due() {
                self.key.answer_asks(asks);
            } else if self.is_wanted() && Instant::now() >= self.not_before {
                self.evaluate().await;
                self.key.answer_asks(asks);
                continue;
            }
            if self.is_unused() && self.engine.keys.remove_unused(&self.id, &self.key) {
                debug!(query = self.id.query, "a live query has no subscribers any more");
                return Ok(());
            }
            if !self.wait(&mut subscription).await? {
                return Ok(());
            }
        }
    }

    /// Waits until there may be something to do. Returns `false` if the key has ended.
    async fn wait(&mut self, subscription: &mut Subscription) -> Result<bool> {
        let is_wanted = self.is_wanted();
        let has_subscribers = self.key.state.receiver_count() > 0;
        let evaluates_later = is_wanted && self.is_due();
        let waits_for_model = !self.is_due() && self.waits_for_model();
        let checkpoint_at = self.notified_at + CHECKPOINT_INTERVAL;
        tokio::select! {
            biased;
            () = self.key.evicted.cancelled() => return Ok(false),
            item = subscription.next() => {
                let Some(item) = item else { return Ok(false) };
                self.take(&item?);
                while let Some(item) = subscription.try_next() {
                    self.take(&item);
                }
            }
            () = self.key.wake.notified() => {}
            _ = self.generation.changed() => self.must = true,
            _ = self.progress.changed(), if waits_for_model => {}
            () = sleep_until(self.not_before), if evaluates_later => {}
            () = sleep_until(checkpoint_at), if self.has_checkpoint => self.notify(),
            () = self.key.state.closed(), if has_subscribers => self.unused_since = Instant::now(),
            () = sleep_until(self.unused_since + LINGER), if !has_subscribers => {}
        }
        Ok(true)
    }

    fn take(&mut self, item: &Item) {
        match item {
            Item::Event(event) => self.matched.add(event.position()),
            Item::Checkpoint(cursor) => self.nothing_matched_up_to(*cursor),
            Item::Live { .. } | Item::Behind { .. } => {}
        }
    }

    /// Moves the cursor of the answer without an evaluation: nothing up to here can have
    /// changed it, and the model contains everything up to its own place.
    fn nothing_matched_up_to(&mut self, cursor: Cursor) {
        let complete = self.progress.borrow().complete;
        let to = if cursor.position() < complete.position() { cursor } else { complete };
        let Some(answer) = self.answer.as_ref().filter(|_| !self.must) else { return };
        if self.matched.first().is_none() && answer.token().cursor.position() < to.position() {
            let moved = Arc::new(answer.moved_to(to, self.engine.hub.cached_head().max(to)));
            self.answer = Some(Arc::clone(&moved));
            self.key.state.send_modify(|state| state.answer = Some(moved));
            self.notified_at = Instant::now();
        }
    }

    fn is_wanted(&self) -> bool {
        self.key.state.receiver_count() > 0 || self.key.has_asks()
    }

    /// Whether a step of the model may make an evaluation due. Otherwise steps do not wake the
    /// task.
    fn waits_for_model(&self) -> bool {
        let answer = self.answer.as_ref().map(|answer| answer.token().cursor.position());
        self.matched.first().is_some() || answer < Some(self.key.at_least())
    }

    fn is_unused(&self) -> bool {
        self.key.state.receiver_count() == 0 && self.unused_since.elapsed() >= LINGER
    }

    /// Whether the answer may be another one now.
    fn is_due(&self) -> bool {
        let Some(answer) = self.answer.as_ref().filter(|_| !self.must) else { return true };
        let (complete, at_least) =
            (self.progress.borrow().complete.position(), self.key.at_least());
        let is_before = answer.token().cursor.position() < at_least && at_least <= complete;
        is_before || self.matched.first().is_some_and(|first| first <= complete)
    }

    async fn evaluate(&mut self) {
        let began = Instant::now();
        let known = *self.progress.borrow_and_update();
        self.generation.mark_unchanged();
        let outcome =
            self.engine.evaluate(&self.query, &self.id, &self.model, self.answer.is_none());
        let outcome = outcome.await;
        let now = Instant::now();
        let (took, outcome) = match outcome {
            Ok(evaluation) => (evaluation.took, Ok(evaluation)),
            Err(error) => (now - began, Err(error)),
        };
        self.not_before = now + SHORTEST_PAUSE.max(took * PAUSE_FACTOR);
        match outcome {
            Ok(evaluation) => self.evaluated(evaluation, known),
            Err(error) => {
                self.not_before = self.not_before.max(now + PAUSE_AFTER_FAILURE);
                self.failed(error);
            }
        }
    }

    fn evaluated(&mut self, evaluation: Evaluation, known: ModelProgress) {
        self.must = false;
        let cursor = evaluation.cursor(known);
        self.matched.contained_up_to(cursor.position());
        let before = self.answer.take();
        if let Some(before) = &before
            && cursor.position() < before.token().cursor.position()
        {
            // The model was reset, or its new version is behind: the last answer stays until the
            // model has passed it.
            self.matched.add(before.token().cursor.position());
            self.matched.wait_until(before.token().cursor.position());
            self.answer = Some(Arc::clone(before));
            return;
        }
        self.publish(before.as_deref(), evaluation, cursor);
    }

    fn publish(&mut self, before: Option<&Answer>, evaluation: Evaluation, cursor: Cursor) {
        let head = self.engine.hub.cached_head().max(cursor);
        let same = before.filter(|before| before.token().hash == evaluation.hash());
        let (answer, change) = if let Some(before) = same {
            (before.moved_to(cursor, head), None)
        } else {
            let answer = evaluation.into_answer(cursor, head, self.query.key());
            let change = before.and_then(|before| Change::between(before, &answer));
            (answer, Some(change.map(Arc::new)))
        };
        let answer = Arc::new(answer);
        self.answer = Some(Arc::clone(&answer));
        let mut is_news = false;
        self.key.state.send_if_modified(|state| {
            is_news = change.is_some() || state.failure.is_some();
            state.answer = Some(answer);
            state.failure = None;
            if let Some(change) = change {
                state.change = change;
            }
            is_news
        });
        if is_news {
            self.notified_at = Instant::now();
            self.has_checkpoint = false;
        } else if self.notified_at.elapsed() >= CHECKPOINT_INTERVAL {
            self.notify();
        } else {
            self.has_checkpoint = true;
        }
    }

    fn notify(&mut self) {
        self.notified_at = Instant::now();
        self.has_checkpoint = false;
        self.key.state.send_modify(|_| {});
    }

    fn failed(&mut self, error: LiveError) {
        self.must = true;
        let query = &self.id.query;
        self.key.state.send_if_modified(|state| {
            let is_new = state.failure.is_none();
            if is_new {
                logged(|| warn!(query, %error, "a live query could not be evaluated"));
            }
            // Clients are told once.
            if is_new || state.answer.is_none() {
                state.failure = Some(Arc::new(error));
            }
            is_new
        });
    }
}

/// The events that may have changed the answer and are not known to be in it.
#[derive(Debug, Default)]
struct Matched {
    /// From where on to evaluate again: the first of them, or right after the last answer if
    /// it is not known.
    first: Option<Position>,
    last: Position,
}

impl Matched {
    fn add(&mut self, position: Position) {
        if position > self.last {
            self.last = position;
            self.first.get_or_insert(position);
        }
    }

    /// The answer contains everything up to here.
    fn contained_up_to(&mut self, position: Position) {
        if self.last <= position {
            self.first = None;
        } else if self.first.is_some_and(|first| first <= position) {
            self.first = Some(position.next());
        }
    }

    /// Nothing has to be done before the model has reached this position.
    fn wait_until(&mut self, position: Position) {
        self.last = self.last.max(position);
        self.first = Some(position);
    }

    fn first(&self) -> Option<Position> {
        self.first
    }
}

/// Ends the subscriptions of a key when its task ends, also by a panic.
struct Ended<Tx: ?Sized + Send + 'static> {
    engine: Arc<Engine<Tx>>,
    id: Arc<KeyId>,
    key: Arc<Key>,
}

impl<Tx: ?Sized + Send + 'static> Drop for Ended<Tx> {
    fn drop(&mut self) {
        self.engine.keys.remove(&self.id, &self.key);
        self.key.end(End::Stopped);
    }
}
