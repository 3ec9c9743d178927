use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::key::{End, KeyId};
use super::key_task::KeyTask;
use super::keys::{Joined, Keys};
use super::model_watch::{ModelProgress, ModelWatch, has_live_version};
use super::rows::AnswerRows;
use super::{
    Answer, Evaluated, LiveError, LiveQuery, LiveSubscription, Model, Params, Principal,
    QueryStore, Rows, RowsHash, Scope, Token, Watch, Work,
};
use crate::cursor::Cursor;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::hub::HubLink;
use crate::id::ProjectionId;
use crate::limits::MAX_LIVE_PARAMETER_BYTES;
use crate::store::Read;
use crate::supervise::unwound;

/// How long an evaluation may take before it is interrupted.
const LONGEST_EVALUATION: Duration = Duration::from_millis(250);

/// How long a client waits for the first evaluation, which may have to wait for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Evaluates the live queries of one store.
pub(super) struct Engine<Tx: ?Sized> {
    pub(super) hub: HubLink,
    store: Arc<dyn QueryStore<Tx = Tx>>,
    queries: HashMap<String, Arc<dyn AnyQuery<Tx>>>,
    models: HashMap<String, Arc<ModelWatch>>,
    pub(super) keys: Arc<Keys>,
    /// Half of the readers of the store.
    turns: Semaphore,
    stop: CancellationToken,
}

/// A query whose type of principals is erased.
#[async_trait]
pub(super) trait AnyQuery<Tx: ?Sized>: Send + Sync {
    fn name(&self) -> &str;
    fn version(&self) -> u32;
    fn projection(&self) -> &str;
    fn key(&self) -> &str;
    fn parameters(&self) -> &[&str];
    fn scope(&self, principal: Option<&dyn Any>, params: &Params) -> Result<Scope, LiveError>;
    async fn eval(
        &self,
        model: &mut Model<'_, Tx>,
        scope: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError>;
    fn affected_by(&self, scope: &Scope, params: &Params) -> Result<Filter>;
}

#[async_trait]
impl<Q: LiveQuery> AnyQuery<Q::Tx> for Q {
    fn name(&self) -> &str {
        LiveQuery::name(self)
    }

    fn version(&self) -> u32 {
        LiveQuery::version(self)
    }

    fn projection(&self) -> &str {
        LiveQuery::projection(self)
    }

    fn key(&self) -> &str {
        LiveQuery::key(self)
    }

    fn parameters(&self) -> &[&str] {
        LiveQuery::parameters(self)
    }

    fn scope(&self, principal: Option<&dyn Any>, params: &Params) -> Result<Scope, LiveError> {
        LiveQuery::scope(self, principal.and_then(<dyn Any>::downcast_ref), params)
    }

    async fn eval(
        &self,
        model: &mut Model<'_, Q::Tx>,
        scope: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        LiveQuery::eval(self, model, scope, params).await
    }

    fn affected_by(&self, scope: &Scope, params: &Params) -> Result<Filter> {
        LiveQuery::affected_by(self, scope, params)
    }
}

/// The rows of a query in a snapshot.
#[derive(Debug)]
pub(super) struct Evaluation {
    snapshot: Evaluated,
    rows: AnswerRows,
    pub(super) took: Duration,
}

impl Evaluation {
    /// The cursor as of which the rows are the answer: the checkpoint in the snapshot, or the
    /// place up to which the model was known to be complete before the snapshot, if nothing
    /// has reset it in between.
    pub(super) fn cursor(&self, known: ModelProgress) -> Cursor {
        let Evaluated { version, checkpoint } = self.snapshot;
        let is_known = known.version == Some(version)
            && known.checkpoint.position() <= checkpoint.position()
            && known.complete.position() > checkpoint.position();
        if is_known { known.complete } else { checkpoint }
    }

    pub(super) fn hash(&self) -> RowsHash {
        self.rows.hash
    }

    pub(super) fn into_answer(self, cursor: Cursor, head: Cursor, key: &str) -> Answer {
        Answer::new(cursor, head, key.into(), Arc::new(self.rows))
    }
}

impl<Tx: ?Sized + Send + 'static> Engine<Tx> {
    pub(super) fn new(
        hub: HubLink,
        store: Arc<dyn QueryStore<Tx = Tx>>,
        queries: HashMap<String, Arc<dyn AnyQuery<Tx>>>,
        models: HashMap<String, Arc<ModelWatch>>,
        stop: CancellationToken,
    ) -> Self {
        let turns = Semaphore::new((store.query_readers() / 2).max(1));
        Self { hub, store, queries, models, keys: Arc::default(), turns, stop }
    }

    /// Starts to follow the read models.
    pub(super) fn start(&self) {
        for model in self.models.values() {
            let (model, store) = (Arc::clone(model), Arc::clone(&self.store));
            let (hub, stop) = (self.hub.clone(), self.stop.clone());
            self.hub.spawn(async move {
                stop.run_until_cancelled(model.run(store, hub)).await;
            });
        }
    }

    async fn subscribe(self: Arc<Self>, watch: Watch) -> Result<LiveSubscription, LiveError> {
        let deadline = Instant::now() + watch.wait;
        let (query, id) = self.question(&watch)?;
        let model = Arc::clone(&self.models[query.projection()]);
        let resume = watch.after.map(|token| token.cursor);
        for cursor in resume.into_iter().chain(watch.at_least) {
            // Limit 0: verifies the cursor, and reads nothing.
            self.hub.clone().read_log(Read::log().with_after(cursor).with_limit(0)).await?;
        }
        if let Some(cursor) = watch.at_least {
            self.reached(&model, cursor, deadline).await?;
        }
        let at_least = resume.into_iter().chain(watch.at_least).max().unwrap_or(Cursor::START);
        let joined = self.keys.join(id, watch.principal)?;
        let subscription = self.joined(joined, &query, model, watch.after, at_least);
        let asked = subscription.key_of().ask(at_least.position());
        if timeout(LONGEST_WAIT, asked).await.is_err() {
            let message = "the live query was not evaluated in time";
            return Err(Error::new(ErrorKind::Overloaded, message).into());
        }
        match subscription.newest() {
            (Some(_), _, _) | (None, None, Some(End::Reset { .. })) => Ok(subscription),
            (None, Some(failure), _) => Err((*failure).clone()),
            (None, None, _) => Err(shut_down().into()),
        }
    }

    /// What is asked: the query, and the key of its evaluation.
    fn question(&self, watch: &Watch) -> Result<(Arc<dyn AnyQuery<Tx>>, KeyId), LiveError> {
        let query = self.queries.get(&watch.query);
        let query = query.ok_or_else(|| LiveError::UnknownQuery(watch.query.clone()))?;
        check_parameters(&**query, &watch.params)?;
        let principal = watch.principal.as_ref().map(Principal::as_any);
        let scope = query.scope(principal, &watch.params)?;
        query.affected_by(&scope, &watch.params)?;
        let id = KeyId {
            query: watch.query.clone(),
            version: query.version(),
            scope,
            params: watch.params.clone(),
        };
        Ok((Arc::clone(query), id))
    }

    /// Waits until the model contains this cursor.
    async fn reached(
        &self,
        model: &ModelWatch,
        cursor: Cursor,
        deadline: Instant,
    ) -> Result<(), LiveError> {
        // While it is held, the task follows the model.
        let _needed = model.generation.subscribe();
        model.is_needed.notify_one();
        let mut progress = model.progress.subscribe();
        let has_it = |progress: &ModelProgress| progress.complete.position() >= cursor.position();
        let reached = tokio::time::timeout_at(deadline, progress.wait_for(has_it));
        match self.stop.run_until_cancelled(reached).await {
            Some(Ok(Ok(_))) => Ok(()),
            Some(Err(_)) => Err(LiveError::Behind),
            Some(Ok(Err(_))) | None => Err(shut_down().into()),
        }
    }

    fn joined(
        self: &Arc<Self>,
        joined: Joined,
        query: &Arc<dyn AnyQuery<Tx>>,
        model: Arc<ModelWatch>,
        after: Option<Token>,
        at_least: Cursor,
    ) -> LiveSubscription {
        let Joined { key, states, seat, new } = joined;
        if let Some(id) = new {
            let task =
                KeyTask::new(Arc::clone(self), Arc::clone(query), model, id, Arc::clone(&key));
            let stop = self.stop.clone();
            self.hub.spawn(async move {
                // Ended by the task also if it is dropped or panics.
                let _ = unwound(stop.run_until_cancelled(task.run())).await;
            });
        }
        let hub = self.hub.clone();
        LiveSubscription::new(key, states, seat, hub, query.key().into(), after, at_least)
    }

    /// Evaluates a query when it is its turn.
    pub(super) async fn evaluate(
        &self,
        query: &Arc<dyn AnyQuery<Tx>>,
        id: &Arc<KeyId>,
        model: &ModelWatch,
        is_first: bool,
    ) -> Result<Evaluation, LiveError> {
        let _turn = self.turns.acquire().await.map_err(|_| shut_down())?;
        let announced = if is_first { self.announced(query.projection()).await? } else { None };
        let began = Instant::now();
        let (snapshot, rows) = self.read(query, id).await?;
        let evaluation = Evaluation { snapshot, rows, took: began.elapsed() };
        if is_first {
            self.check_first(&evaluation, announced, model).await?;
        }
        Ok(evaluation)
    }

    async fn read(
        &self,
        query: &Arc<dyn AnyQuery<Tx>>,
        id: &Arc<KeyId>,
    ) -> Result<(Evaluated, AnswerRows), LiveError> {
        let (answer, mut answered) = oneshot::channel();
        let work = work(Arc::clone(query), Arc::clone(id), answer);
        let evaluated = unwound(async {
            self.store.evaluate(query.projection(), LONGEST_EVALUATION, work).await
        });
        match (evaluated.await.flatten(), answered.try_recv()) {
            (Ok(snapshot), Ok(Ok(rows))) => Ok((snapshot, rows)),
            (_, Ok(Err(too_large))) => Err(LiveError::TooLarge(too_large.to_string())),
            (Ok(_), Err(_)) => {
                let message = "the store did not evaluate a live query";
                Err(Error::new(ErrorKind::Backend, message).into())
            }
            (Err(error), _) => Err(self.failed(query.projection(), error).await),
        }
    }

    async fn failed(&self, projection: &str, error: Error) -> LiveError {
        match error.kind() {
            ErrorKind::TooLarge => LiveError::TooSlow,
            ErrorKind::Unavailable | ErrorKind::Invalid
                if has_live_version(&*self.store, projection).await.is_ok_and(|has| !has) =>
            {
                LiveError::Rebuilding
            }
            _ => LiveError::Store(error),
        }
    }

    /// The live version of a model and up to where its events were announced, which a reset
    /// leaves as it was.
    async fn announced(&self, projection: &str) -> Result<Option<(u32, Cursor)>, LiveError> {
        let Some(version) = self.store.live(projection).await? else { return Ok(None) };
        let id = ProjectionId::new(projection, version)?;
        Ok(self.store.announced(&id).await?.map(|announced| (version, announced)))
    }

    /// Refuses the first answer of a model that was reset and is being built again, or that
    /// is of another log.
    async fn check_first(
        &self,
        evaluation: &Evaluation,
        announced: Option<(u32, Cursor)>,
        model: &ModelWatch,
    ) -> Result<(), LiveError> {
        let Evaluated { version, checkpoint } = evaluation.snapshot;
        let complete = evaluation.cursor(*model.progress.borrow());
        let is_behind = announced.is_some_and(|(of, announced)| {
            of == version && complete.position() < announced.position()
        });
        if is_behind || model.is_rebuilding(version) {
            return Err(LiveError::Rebuilding);
        }
        let read = Read::log().with_after(checkpoint).with_limit(0);
        match self.hub.clone().read_log(read).await {
            Err(error) if error.is_other_history() => Err(LiveError::Rebuilding),
            other => Ok(other.map(drop)?),
        }
    }
}

/// What the store runs: the query, and everything that takes time and depends on its rows.
fn work<Tx: ?Sized + Send + 'static>(
    query: Arc<dyn AnyQuery<Tx>>,
    id: Arc<KeyId>,
    answer: oneshot::Sender<Result<AnswerRows>>,
) -> Work<Tx> {
    Box::new(move |mut model| {
        async move {
            let rows = query.eval(&mut model, &id.scope, &id.params).await;
            let rows = match rows {
                Ok(rows) => rows.keyed(query.key())?,
                Err(error) => {
                    let own = error.downcast_ref::<Error>();
                    if let Some(own) = own.filter(|own| own.kind() == ErrorKind::TooLarge) {
                        // The engine may have stopped waiting.
                        let _ = answer.send(Err(own.clone()));
                    }
                    return Err(error);
                }
            };
            let _ = answer.send(Ok(rows));
            Ok(())
        }
        .boxed()
    })
}

fn check_parameters<Tx: ?Sized>(
    query: &dyn AnyQuery<Tx>,
    params: &Params,
) -> Result<(), LiveError> {
    let known = query.parameters();
    let size: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_LIVE_PARAMETER_BYTES {
        // They are kept as long as their answer.
        let name = params.iter().max_by_key(|(_, value)| value.len()).map_or("", |(name, _)| name);
        let detail =
            format!("the parameters have {size} bytes: the limit is {MAX_LIVE_PARAMETER_BYTES}");
        return Err(LiveError::BadParameter { name: name.to_owned(), detail });
    }
    match params.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let detail = format!("unknown parameter '{name}': the parameters here are {all}");
            Err(LiveError::BadParameter { name: name.to_owned(), detail })
        }
    }
}

fn shut_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the hub was shut down")
}

/// An engine whose type of transactions is erased.
pub(super) trait AnyEngine: Send + Sync {
    fn has_query(&self, name: &str) -> bool;
    fn parameters(&self, name: &str) -> Option<Vec<String>>;
    fn keys(&self) -> usize;
    fn watch(
        self: Arc<Self>,
        watch: Watch,
    ) -> BoxFuture<'static, Result<LiveSubscription, LiveError>>;
}

impl<Tx: ?Sized + Send + 'static> AnyEngine for Engine<Tx> {
    fn has_query(&self, name: &str) -> bool {
        self.queries.contains_key(name)
    }

    fn parameters(&self, name: &str) -> Option<Vec<String>> {
        let query = self.queries.get(name)?;
        Some(query.parameters().iter().map(|&name| name.to_owned()).collect())
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn watch(
        self: Arc<Self>,
        watch: Watch,
    ) -> BoxFuture<'static, Result<LiveSubscription, LiveError>> {
        self.subscribe(watch).boxed()
    }
}

impl<Tx: ?Sized> fmt::Debug for Engine<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("queries", &self.queries.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
