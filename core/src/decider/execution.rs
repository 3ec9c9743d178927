use futures::TryStreamExt;

use super::loaded_stream::LoadedStream;
use super::retry_policy::Attempts;
use super::snapshots::{LoadedSnapshot, TypedSnapshots};
use super::{CommandContext, Decider, ExecuteError, Executed, Executor};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, NewEvent};
use crate::id::{EventId, StreamId, Version};
use crate::store::{Appended, Expected, Page, Read, ReadStream, Written};

type Outcome<D> = Result<
    Executed<<D as Decider>::State, <D as Decider>::Event>,
    ExecuteError<<D as Decider>::Error>,
>;

/// The execution of one command.
pub(super) struct Execution<'a, D: Decider> {
    executor: &'a Executor<D>,
    context: &'a CommandContext,
    stream: StreamId,
    attempts: Attempts,
}

/// The outcome of an append.
enum AppendOutcome {
    Stored(Appended),
    /// Events of this command are in the stream already, from this version on.
    Repeats(Version),
    /// Another writer was faster.
    Lost(Error),
}

impl<'a, D: Decider> Execution<'a, D> {
    pub(super) fn new(
        executor: &'a Executor<D>,
        context: &'a CommandContext,
        stream: StreamId,
    ) -> Self {
        let stopped = executor.hub().shutdown_token();
        let attempts = Attempts::new(executor.retries(), context.command_id(), stopped);
        Self { executor, context, stream, attempts }
    }

    pub(super) async fn run(mut self, command: &D::Command) -> Outcome<D> {
        let mut loaded = self.load().await?;
        loop {
            if let Some(first) = loaded.repeats {
                return self.first_outcome(loaded, first).await;
            }
            let events = match self.executor.decider().decide(&loaded.state, command) {
                Ok(events) if !events.is_empty() => events,
                decided => return self.nothing_new(loaded, decided.err()).await,
            };
            let (offered, state) = self.encode(&loaded.state, &events)?;
            match self.append(loaded.expected(), offered).await? {
                AppendOutcome::Stored(appended) => {
                    return Ok(self.done(&loaded, events, state, appended).await);
                }
                AppendOutcome::Repeats(first) => {
                    loaded = self.catch_up(loaded).await?;
                    loaded.repeats = Some(first);
                }
                AppendOutcome::Lost(conflict) => {
                    self.attempts.after(conflict).await?;
                    loaded = self.catch_up(loaded).await?;
                }
            }
        }
    }

    /// Loads the current stream.
    async fn load(&mut self) -> Result<LoadedStream<D::State>, ExecuteError<D::Error>> {
        let mut loaded = LoadedStream::new(self.executor.decider().initial());
        if let Some(snapshots) = self.executor.snapshots()
            && let Some(snapshot) = snapshots.load(&self.stream).await
        {
            let is_verified = snapshot.state.is_none() || self.has_event_of(&snapshot).await?;
            let LoadedSnapshot { state, version, event, .. } = snapshot;
            loaded.saved = is_verified.then_some(version);
            if let Some(state) = state.filter(|_| is_verified) {
                (loaded.state, loaded.last) = (state, Some((version, event)));
                loaded.snapshot = Some(version);
            }
        }
        self.catch_up(loaded).await
    }

    /// Whether the stream has the last event of a snapshot.
    async fn has_event_of(&mut self, snapshot: &LoadedSnapshot<D::State>) -> Result<bool> {
        let page = self.read(self.from(snapshot.version).with_limit(1)).await?;
        let last = (snapshot.event, snapshot.recorded_at);
        let is_there =
            page.events.first().is_some_and(|event| (event.id(), event.recorded_at()) == last);
        if !is_there {
            tracing::warn!(stream = %self.stream, "a snapshot belongs to another history of the log; it is not used");
        }
        Ok(is_there)
    }

    /// Loads the events that came after the last read.
    async fn catch_up(
        &mut self,
        mut loaded: LoadedStream<D::State>,
    ) -> Result<LoadedStream<D::State>, ExecuteError<D::Error>> {
        let first = self.context.command_id().event_id(0);
        loop {
            let next = Version::following(loaded.version());
            let page = self.read(self.from(next)).await?;
            loaded.head = page.head;
            for event in &page.events {
                loaded = loaded.with(self.executor.decider(), event, first)?;
            }
            if !page.more {
                return Ok(loaded);
            }
        }
    }

    /// Encodes the events with their ids, metadata and tags, and returns the
    /// state after them.
    fn encode(&self, state: &D::State, events: &[D::Event]) -> Result<(Vec<NewEvent>, D::State)> {
        let decider = self.executor.decider();
        let mut state = state.clone();
        let mut offered = Vec::with_capacity(events.len());
        for (id, event) in self.ids().zip(events) {
            state = decider.evolve(state, event);
            let new = NewEvent::from_variant(event)?.with_id(id);
            let version = decider.schema().version(new.event_type().as_str());
            let mut new = new.with_metadata_json(self.context.metadata(version)?)?;
            for tag in decider.tags(&state, event)? {
                new = new.with_tag(tag)?;
            }
            offered.push(new);
        }
        Ok((offered, state))
    }

    async fn append(&mut self, expected: Expected, events: Vec<NewEvent>) -> Result<AppendOutcome> {
        loop {
            let append = self.executor.hub().append_to(&self.stream, expected, events.clone());
            match append.await {
                Ok(appended) if appended.duplicate => {
                    return Ok(AppendOutcome::Repeats(appended.writes[0].first));
                }
                Ok(appended) => return Ok(AppendOutcome::Stored(appended)),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    return Ok(AppendOutcome::Lost(error));
                }
                Err(error) if error.kind() == ErrorKind::IdReused => {
                    return self.find().await?.map(AppendOutcome::Repeats).ok_or(error);
                }
                Err(error) => self.attempts.after(error).await?,
            }
        }
    }

    async fn done(
        &self,
        loaded: &LoadedStream<D::State>,
        events: Vec<D::Event>,
        state: D::State,
        appended: Appended,
    ) -> Executed<D::State, D::Event> {
        let Appended { mut writes, cursor, .. } = appended;
        let written = writes.pop();
        if let (Some(snapshots), Some(Written { last, .. })) = (self.executor.snapshots(), &written)
            && snapshots.is_due(loaded.events_since_snapshot(*last))
        {
            self.save(snapshots, *last, cursor, &state).await;
        }
        Executed { events, state, written, cursor, duplicate: false }
    }

    /// Saves the state after the last event of an append. When it was recorded is known only to the
    /// log.
    async fn save(
        &self,
        snapshots: &TypedSnapshots<D::State>,
        last: Version,
        cursor: Cursor,
        state: &D::State,
    ) {
        let stream = &self.stream;
        let page = match self.executor.hub().read_stream(self.from(last).with_limit(1)).await {
            Ok(page) => page,
            Err(error) => {
                return tracing::warn!(%stream, %error, "could not read the last event of a snapshot; it is not saved");
            }
        };
        // It is another event if the log was replaced since.
        if let Some(last) = page.events.first().filter(|event| event.cursor() == cursor) {
            snapshots.save(last, state).await;
        }
    }

    /// The outcome of a command that causes no events, unless it was executed
    /// before and its events are hidden by the snapshot.
    async fn nothing_new(
        &mut self,
        loaded: LoadedStream<D::State>,
        refusal: Option<D::Error>,
    ) -> Outcome<D> {
        if loaded.snapshot.is_some()
            && self.context.is_repeatable()
            && self.is_known().await?
            && let Some(first) = self.find().await?
        {
            return self.first_outcome(loaded, first).await;
        }
        if let Some(refusal) = refusal {
            return Err(ExecuteError::Refused(refusal));
        }
        let LoadedStream { state, head, .. } = loaded;
        Ok(Executed { events: Vec::new(), state, written: None, cursor: head, duplicate: false })
    }

    /// Finds out whether the store knows the id of the command's first event,
    /// by an append that cannot be stored: known ids are checked before
    /// expectations, and no stream has the highest possible version.
    async fn is_known(&mut self) -> Result<bool> {
        loop {
            let id = self.context.command_id().event_id(0);
            let question = NewEvent::json("Question", "{}")?.with_id(id);
            let expected = Expected::Exact(Version::MAX);
            match self.executor.hub().append_to(&self.stream, expected, [question]).await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::IdReused => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Conflict => return Ok(false),
                Err(error) => self.attempts.after(error).await?,
            }
        }
    }

    /// Searches for the first event of this command, from the end of the
    /// stream.
    async fn find(&mut self) -> Result<Option<Version>> {
        let id = self.context.command_id().event_id(0);
        let mut read = Read::stream(self.stream.clone()).backward();
        loop {
            let page = self.read(read.clone()).await?;
            if let Some(event) = page.events.iter().find(|event| event.id() == id) {
                return Ok(Some(event.version()));
            }
            match page.events.last() {
                Some(event) if page.more => read = read.with_after(event.version()),
                _ => return Ok(None),
            }
        }
    }

    /// The outcome of the command's first execution: the events from `first` on
    /// that have its ids. Another command with the same id is refused.
    async fn first_outcome(
        &mut self,
        loaded: LoadedStream<D::State>,
        first: Version,
    ) -> Outcome<D> {
        let stored = self.stored(first).await?;
        let last = stored.last().ok_or_else(|| {
            Error::new(
                ErrorKind::HistoryChanged,
                "the log was replaced while a command was executed",
            )
        })?;
        self.context.check_same(&stored[0])?;
        let written = Written { stream: self.stream.clone(), first, last: last.version() };
        let cursor = last.cursor();
        let schema = self.executor.decider().schema();
        let events = stored.iter().filter_map(|event| schema.decode(event).transpose());
        let events = events.collect::<Result<_>>().map_err(ExecuteError::Undecodable)?;
        let state = loaded.state;
        Ok(Executed { events, state, written: Some(written), cursor, duplicate: true })
    }

    async fn stored(&self, first: Version) -> Result<Vec<Event>> {
        let mut events = self.executor.hub().stream_events(self.from(first));
        let mut stored = Vec::new();
        for id in self.ids() {
            match events.try_next().await? {
                Some(event) if event.id() == id => stored.push(event),
                _ => break,
            }
        }
        Ok(stored)
    }

    async fn read(&mut self, read: ReadStream) -> Result<Page> {
        loop {
            match self.executor.hub().read_stream(read.clone()).await {
                Ok(page) => return Ok(page),
                Err(error) => self.attempts.after(error).await?,
            }
        }
    }

    /// Reads the stream from this version on.
    fn from(&self, version: Version) -> ReadStream {
        let read = Read::stream(self.stream.clone());
        match version.previous() {
            Some(before) => read.with_after(before),
            None => read,
        }
    }

    fn ids(&self) -> impl Iterator<Item = EventId> + use<D> {
        let command = self.context.command_id();
        (0..).map(move |index| command.event_id(index))
    }
}
