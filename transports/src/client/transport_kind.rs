use std::fmt;

/// What brings the frames of a feed.
///
/// All of them bring the same frames, with the same cursors: a client may
/// change from one to another at any frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// One socket for both directions.
    #[cfg(feature = "websocket")]
    WebSocket,
    /// Server-sent events: one answer without end.
    Sse,
    /// Pages, asked for one after the other, of which the server holds the next
    /// back until there is something. Comes through every proxy.
    #[cfg(feature = "long-poll")]
    LongPoll,
}

impl TransportKind {
    /// The transport's name, as in `sse`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            #[cfg(feature = "long-poll")]
            Self::LongPoll => "long-poll",
        }
    }

    /// Whether a filter has to be said in a URL, which has no alternatives.
    pub(super) fn says_filters_in_the_url(self) -> bool {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => false,
            _ => true,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
