use std::future::Future;

use futures::stream::{self, BoxStream, StreamExt};

use crate::{
    Append, Appended, Error, Event, EventStore, Expected, IntoNewEvent, NewEvent, Read, Result,
    Scope, StreamId,
};

/// Conveniences on top of any [`EventStore`], also behind `dyn`.
pub trait EventStoreExt: EventStore {
    /// Stores events at the end of one stream; see [`EventStore::append`].
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`], and those of the stream's name and of
    /// [`NewEvent::json`].
    ///
    /// # Cancel safety
    ///
    /// As [`EventStore::append`].
    fn append_to<S, E>(
        &self,
        stream: S,
        expected: Expected,
        events: E,
    ) -> impl Future<Output = Result<Appended>> + Send
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let append = to_append(stream, expected, events);
        async move { self.append(append?).await }
    }

    /// Folds a stream into a state, and tells what to expect of the stream when
    /// appending what was decided on that state.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`], and what `fold` returns.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    fn load<S, T, F>(
        &self,
        stream: S,
        initial: T,
        mut fold: F,
    ) -> impl Future<Output = Result<(T, Expected)>> + Send
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        T: Send,
        F: FnMut(T, &Event) -> Result<T> + Send,
    {
        let stream = stream.try_into().map_err(Error::from);
        async move {
            let stream = stream?;
            let (mut state, mut last) = (initial, None);
            let mut events = self.events(Read::stream(stream));
            while let Some(event) = events.next().await {
                let event = event?;
                state = fold(state, &event)?;
                last = Some(event.version());
            }
            Ok((state, Expected::at(last)))
        }
    }

    /// All events of a read, page after page; its limit is the size of a page.
    /// Ends at the head that the last page sees.
    fn events(&self, read: Read) -> BoxStream<'_, Result<Event>> {
        let pages = stream::try_unfold(Some(read), move |read| async move {
            let Some(read) = read else { return Ok::<_, Error>(None) };
            let page = self.read(read.clone()).await?;
            let next = (page.more && read.max_events() > 0).then(|| continue_after(read, &page));
            Ok(Some((stream::iter(page.events.into_iter().map(Ok)), next)))
        });
        futures::TryStreamExt::try_flatten(pages).boxed()
    }
}

// The blanket implementation also seals the trait: there is no room for another.
impl<S: EventStore + ?Sized> EventStoreExt for S {}

pub(crate) fn to_append<S, E>(stream: S, expected: Expected, events: E) -> Result<Append>
where
    S: TryInto<StreamId>,
    Error: From<S::Error>,
    E: IntoIterator<Item: IntoNewEvent>,
{
    let events: Vec<NewEvent> =
        events.into_iter().map(IntoNewEvent::into_new_event).collect::<Result<_>>()?;
    Append::to(stream, expected, events)
}

fn continue_after(read: Read, page: &crate::Page) -> Read {
    match (read.scope(), page.stream.and_then(|span| span.scanned)) {
        (Scope::Stream { .. }, Some(version)) => read.after_version(version),
        (Scope::Stream { .. }, None) => read,
        (Scope::Log { .. }, _) => read.resume(page.scanned),
    }
}
