use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::engine::{AnyEngine, AnyQuery, Engine};
use super::model_watch::ModelWatch;
use super::{LiveError, LiveQuery, LiveSubscription, QueryStore, Watch};
use crate::error::{Error, Result};
use crate::hub::{Hub, HubLink};
use crate::id::ProjectionId;
use crate::projection::ProjectionHandle;

/// Evaluates live queries of one store, each once for all who ask the same.
///
/// Clones refer to the same evaluations. They end when the last clone is dropped, and when
/// the hub is shut down.
///
/// # Examples
///
/// See [`live`](crate::live).
#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<dyn AnyEngine>,
    _stop: DropGuard,
}

impl Live {
    /// Configures the live queries of this store, whose read models are built from the log of
    /// this hub.
    pub fn builder<S: QueryStore>(hub: &Hub, store: S) -> LiveBuilder<S::Tx> {
        LiveBuilder {
            hub: hub.link(),
            store: Arc::new(store),
            queries: HashMap::new(),
            handles: Vec::new(),
            error: None,
        }
    }

    /// Whether there is a query with this name.
    #[must_use]
    pub fn has_query(&self, name: &str) -> bool {
        self.inner.engine.has_query(name)
    }

    /// The names of the parameters of a query; `None` if there is no query with this name.
    #[must_use]
    pub fn parameters(&self, query: &str) -> Option<Vec<String>> {
        self.inner.engine.parameters(query)
    }

    /// How many different questions are evaluated now.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.inner.engine.keys()
    }

    /// Watches a query. Returns when its answer is as new as the read model.
    ///
    /// # Errors
    ///
    /// A [`LiveError`] if there is no answer: see its variants.
    /// [`Store`](LiveError::Store) with
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) or
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a cursor of another log.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn watch(&self, watch: Watch) -> Result<LiveSubscription, LiveError> {
        Arc::clone(&self.inner.engine).watch(watch).await
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("evaluations", &self.evaluations()).finish_non_exhaustive()
    }
}

/// Configures and starts live queries; see [`Live::builder`].
#[must_use]
pub struct LiveBuilder<Tx: ?Sized> {
    hub: HubLink,
    store: Arc<dyn QueryStore<Tx = Tx>>,
    queries: HashMap<String, Arc<dyn AnyQuery<Tx>>>,
    handles: Vec<ProjectionHandle>,
    error: Option<Error>,
}

impl<Tx: ?Sized + Send + 'static> LiveBuilder<Tx> {
    /// Adds a query. [`start`](Self::start) fails if there is one with its name.
    pub fn with_query(mut self, query: impl LiveQuery<Tx = Tx>) -> Self {
        let query: Arc<dyn AnyQuery<Tx>> = Arc::new(query);
        let name = query.name().to_owned();
        if let Err(error) = ProjectionId::new(query.projection(), 0) {
            self.error.get_or_insert(error);
        }
        if self.queries.insert(name.clone(), query).is_some() {
            let message = format!("there are two live queries '{name}': rename one of them");
            self.error.get_or_insert(Error::invalid(message));
        }
        self
    }

    /// Says that this process builds this read model, so that queries of it are evaluated at
    /// once after its steps, and as of the events that do not match it. Models that only other
    /// processes build are followed by hints over the bus, and once a second.
    pub fn with_model(mut self, handle: &ProjectionHandle) -> Self {
        self.handles.push(handle.clone());
        self
    }

    /// Starts to follow the read models. Nothing is evaluated before it is asked for.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for two queries with one name, and for an
    /// invalid name of a projection.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn start(self) -> Result<Live> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let stop: CancellationToken = self.hub.stop().child_token();
        let mut models = HashMap::new();
        for query in self.queries.values() {
            let name = query.projection();
            let model = || Arc::new(ModelWatch::new(name, &self.handles));
            models.entry(name.to_owned()).or_insert_with(model);
        }
        let guard = stop.clone().drop_guard();
        let engine = Engine::new(self.hub, self.store, self.queries, models, stop);
        engine.start();
        Ok(Live { inner: Arc::new(Inner { engine: Arc::new(engine), _stop: guard }) })
    }
}

impl<Tx: ?Sized> fmt::Debug for LiveBuilder<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("queries", &self.queries.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
