use std::future::Future;

use futures::stream::{self, BoxStream, StreamExt};

use crate::error::{Error, Result};
use crate::event::{Event, IntoNewEvent, NewEvent};
use crate::id::StreamId;
use crate::store::{Append, Appended, EventStore, Expected, Page, Read, ReadLog, ReadStream};

/// Convenience methods on every [`EventStore`], also behind `dyn`.
pub trait EventStoreExt: EventStore {
    /// Stores events at the end of one stream; see [`EventStore::append`].
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`], [`StreamId::new`] and
    /// [`NewEvent::from_variant`].
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

    /// Folds a stream into a state, and returns it with the expectation to use
    /// for an append that was decided on that state.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_stream`], and any error that `fold` returns.
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
            let mut events = self.stream_events(Read::stream(stream));
            while let Some(event) = events.next().await {
                let event = event?;
                state = fold(state, &event)?;
                last = Some(event.version());
            }
            Ok((state, Expected::at(last)))
        }
    }

    /// Streams all events of a read of the log, page by page. The limit of the
    /// read is the page size. The stream ends at the head that the last page
    /// reports.
    fn log_events(&self, read: ReadLog) -> BoxStream<'_, Result<Event>> {
        pages(read, move |read| async move {
            let page = self.read_log(read.clone()).await?;
            let next = is_more(&page, &read).then(|| read.with_after(page.scanned));
            Ok((page.events, next))
        })
    }

    /// Streams all events of a read of one stream, page by page. The limit of
    /// the read is the page size. The stream ends at the version that the last
    /// page reports.
    fn stream_events(&self, read: ReadStream) -> BoxStream<'_, Result<Event>> {
        pages(read, move |read| async move {
            let page = self.read_stream(read.clone()).await?;
            let scanned = page.stream.and_then(|span| span.scanned);
            let next = is_more(&page, &read).then(|| match scanned {
                Some(version) => read.with_after(version),
                None => read,
            });
            Ok((page.events, next))
        })
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

fn pages<'a, R, F>(
    read: R,
    mut next_page: impl FnMut(R) -> F + Send + 'a,
) -> BoxStream<'a, Result<Event>>
where
    R: Send + 'a,
    F: Future<Output = Result<(Vec<Event>, Option<R>)>> + Send + 'a,
{
    let pages = stream::try_unfold(Some(read), move |read| {
        let page = read.map(&mut next_page);
        async move {
            let Some(page) = page else { return Ok::<_, Error>(None) };
            let (events, next) = page.await?;
            Ok(Some((stream::iter(events.into_iter().map(Ok)), next)))
        }
    });
    futures::TryStreamExt::try_flatten(pages).boxed()
}

fn is_more<S>(page: &Page, read: &Read<S>) -> bool {
    page.more && read.limit() > 0
}
