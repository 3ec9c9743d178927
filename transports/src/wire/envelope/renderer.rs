use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use downlink::event::Format;
use downlink::{Event, Schema};

use super::{envelope_of, put_sse_block, render, render_with, sse_block};

/// Renders the events of a feed: with their payloads as stored, or in the newest form of a
/// schema.
///
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renderer {
    newest: Option<Arc<Newest>>,
}

#[derive(Debug)]
struct Newest {
    schema: Schema,
    /// Of this schema only, so that an event is upcast once and not rendered by another one.
    format: Format,
}

impl Renderer {
    pub(crate) fn with_schema(schema: Schema) -> Self {
        let format = Format::unique("feed.v1 in the newest form");
        Self { newest: Some(Arc::new(Newest { schema, format })) }
    }

    /// As [`wire::sse_block`](crate::wire::sse_block).
    pub(crate) fn sse_block(&self, event: &Event) -> Bytes {
        match &self.newest {
            None => sse_block(event),
            Some(newest) => event.rendered(newest.format, |event| newest.render(event)),
        }
    }

    /// Appends what [`sse_block`](Self::sse_block) returns.
    pub(crate) fn put_sse_block(&self, out: &mut BytesMut, event: &Event) {
        match &self.newest {
            None => put_sse_block(out, event),
            // Kept, since an event is upcast once.
            Some(_) => out.extend_from_slice(&self.sse_block(event)),
        }
    }

    /// About how many bytes the content has as it is rendered.
    pub(crate) fn size(&self, event: &Event) -> usize {
        if self.newest.is_some() { self.sse_block(event).len() } else { event.size() }
    }

    /// As [`wire::envelope`](crate::wire::envelope).
    pub(crate) fn envelope(&self, event: &Event) -> Bytes {
        envelope_of(&self.sse_block(event))
    }
}

impl Newest {
    fn render(&self, event: &Event) -> Bytes {
        match self.schema.upcast(event) {
            Ok(content) => render_with(event, &content),
            // A stream that ended here would end here again after every reconnect.
            Err(error) => {
                tracing::warn!(%error, "a feed sends an event as stored, because it cannot be upcast");
                render(event)
            }
        }
    }
}
